import { createClient } from "@supabase/supabase-js";
import WebSocket from "ws";
import { Journal } from "./journal.js";
import { token } from "./token.js";

/**
 * An application's supabase-js client, with no setting beyond what Node 20 needs: a WebSocket, since it has none of its own.
 *
 * @param {import("./server.js").Server} server
 * @param {{key?: string, vsn?: string, accessToken?: () => Promise<string>, transport?: typeof WebSocket}} [options]
 */
export function supabase(server, { key = token(), vsn, accessToken, transport = WebSocket } = {}) {
  return createClient(server.url, key, {
    ...(accessToken ? { accessToken } : {}),
    auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
    realtime: { transport, ...(vsn ? { vsn } : {}) },
  });
}

/** A transport whose sockets can be cut: no close frame, no goodbye. */
export function cuttable() {
  const open = new Set();
  class CuttableSocket extends WebSocket {
    constructor(...args) {
      super(...args);
      open.add(this);
      this.once("close", () => open.delete(this));
    }
  }
  return {
    transport: CuttableSocket,
    cut() {
      for (const socket of open) socket.terminate();
    },
  };
}

/** Subscribes, and keeps every status with its error in a journal. */
export function subscribe(channel) {
  const statuses = new Journal(`statuses of ${channel.topic}`);
  channel.subscribe((status, error) => statuses.add({ status, message: error?.message }));
  return statuses;
}

/** Subscribes and waits until the channel is joined. */
export async function joined(channel) {
  const statuses = subscribe(channel);
  await statuses.find((s) => s.status === "SUBSCRIBED", "SUBSCRIBED");
  return statuses;
}

/** Every broadcast of a channel, in the order in which the client hands them out. To be called before `subscribe`. */
export function broadcasts(channel, event = "*") {
  const seen = new Journal(`broadcasts of ${channel.topic}`);
  channel.on("broadcast", { event }, seen.add);
  return seen;
}

/** Ends a client: its channels and its socket. */
export async function close(client) {
  await client.removeAllChannels();
  await client.realtime.disconnect();
}
