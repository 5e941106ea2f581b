// The least that one writes with `ws`: the path names the channel, and what a member sends goes to the others as it is.
import { createServer } from "node:http";
import { WebSocketServer } from "ws";
import { listen, valid } from "./auth.mjs";

const channels = new Map();
const server = createServer();
const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false });

server.on("upgrade", (request, socket, head) => {
  const url = new URL(request.url, "http://localhost");
  if (!valid(url.searchParams.get("token"))) {
    socket.end("HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n\r\n");
    return;
  }
  sockets.handleUpgrade(request, socket, head, (member) => enter(member, url.pathname));
});

function enter(member, name) {
  const members = channels.get(name) ?? new Set();
  channels.set(name, members);
  members.add(member);
  member.on("message", (data) => {
    for (const other of members) if (other !== member) other.send(data, { binary: false });
  });
  member.on("close", () => {
    members.delete(member);
    if (members.size === 0) channels.delete(name);
  });
  member.on("error", () => {}); // a member that is gone is removed by "close"
  member.send('{"joined":true}');
}

listen(server);
