import { Presence, Socket } from "phoenix";
import WebSocket from "ws";
import { Journal } from "./journal.js";
import { token } from "./token.js";

/** A stock Phoenix socket, connected. */
export function phoenix(server, { key = token() } = {}) {
  const socket = new Socket(`${server.url.replace("http", "ws")}/socket`, { transport: WebSocket, params: { apikey: key } });
  socket.connect();
  return socket;
}

/** A channel under its Chorale name; `config` is that of section 4 of the protocol. */
export const channelOf = (socket, name, config = {}) => socket.channel(`realtime:${name}`, { config });

/** The answer to a push: its status and its response. */
export function answer(push) {
  return new Promise((done) => {
    for (const status of ["ok", "error", "timeout"]) push.receive(status, (response) => done({ status, response }));
  });
}

/** Everything the server sends under one event. */
export function events(channel, event) {
  const seen = new Journal(`${event} of ${channel.topic}`);
  channel.on(event, seen.add);
  return seen;
}

/** Stock Phoenix presence: who is there by key, after each change. */
export function presences(channel) {
  const seen = new Journal(`presence of ${channel.topic}`);
  const presence = new Presence(channel);
  presence.onSync(() => seen.add(Object.fromEntries(presence.list((key, { metas }) => [key, metas]))));
  return seen;
}

/** Says something of oneself, as Supabase's clients do. */
export const track = (channel, payload) => answer(channel.push("presence", { type: "presence", event: "track", payload }));

/** Ends a socket. */
export const hangUp = (socket) => new Promise((done) => socket.disconnect(done));
