// The least that one writes with Socket.IO: members join a room, and what one emits goes to the others of the room.
import { createServer } from "node:http";
import { Server } from "socket.io";
import { listen, valid } from "./auth.mjs";

const server = createServer();
const io = new Server(server, { transports: ["websocket"], perMessageDeflate: false, serveClient: false });

io.use((socket, next) => next(valid(socket.handshake.query.token) ? undefined : new Error("unauthorized")));
io.on("connection", (socket) => {
  socket.on("join", (room, joined) => {
    socket.join(room);
    joined();
  });
  socket.on("note", (room, payload) => socket.to(room).emit("note", payload));
});

listen(server);
