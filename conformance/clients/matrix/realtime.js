import { Journal } from "../harness/journal.js";
import { countingTransport } from "./transport.js";

/**
 * @typedef {object} PartyOptions
 * @property {string} url of the server, or of the link to it
 * @property {string} token
 * @property {number} [heartbeatMs] between heartbeats; the client's own default otherwise
 * @property {number} [reconnectMs] before it connects again; the client's own default otherwise
 *
 * A party is one client, with one socket, through the same few verbs whatever its kind; a seat is one of its channels.
 *
 * @typedef {object} Party
 * @property {(name: string, config?: object, listen?: Listen) => Seat} channel `config` is section 4 of the protocol
 * @property {(token: string) => Promise<void>} setAuth
 * @property {Journal<string>} opened its sockets so far
 * @property {() => Promise<void>} close
 *
 * @typedef {{presence?: boolean, table?: string}} Listen besides broadcasts and system messages
 *
 * @typedef {object} Seat
 * @property {Journal<{status: string, message?: string}>} statuses
 * @property {Journal<{event: string, payload: unknown, meta?: object}>} heard
 * @property {Journal<{status: string, extension: string, message: string}>} system
 * @property {Journal<Record<string, object[]>>} people who is there by key, after each change, without the server's refs
 * @property {() => void} join
 * @property {() => Promise<void>} joined joins and waits until it is so
 * @property {(event: string, payload: unknown, more?: object) => Promise<string>} say "ok", "error" or "timed out"
 * @property {(payload: object) => Promise<string>} track
 * @property {() => Promise<string>} untrack
 * @property {(event: string, payload: unknown) => Promise<{success: boolean}>} [httpSend]
 * @property {() => unknown} leave
 */

/** The options of all versions; those that do not know one ignore it. */
function options(row, { heartbeatMs, reconnectMs }, transport) {
  return {
    transport,
    vsn: row.vsn,
    ...(heartbeatMs ? { heartbeatIntervalMs: heartbeatMs } : {}),
    ...(reconnectMs ? { reconnectAfterMs: () => reconnectMs } : {}),
  };
}

/** realtime-js by itself, at the paths of a bare server. */
export async function realtime(module, row, asked) {
  const { RealtimeClient } = await import(module);
  const { transport, opened } = countingTransport();
  const client = new RealtimeClient(`${asked.url.replace("http", "ws")}/socket`, {
    ...options(row, asked, transport),
    params: { apikey: asked.token },
  });
  return party(
    client,
    (name, config) => client.channel(name, { config }),
    (channel) => client.removeChannel(channel),
    opened,
  );
}

/** supabase-js, at the paths of Supabase's gateway. */
export async function supabase(module, row, asked) {
  const { createClient } = await import(module);
  const { transport, opened } = countingTransport();
  const client = createClient(asked.url, asked.token, {
    auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
    realtime: options(row, asked, transport),
  });
  return party(
    client.realtime,
    (name, config) => client.channel(name, { config }),
    (channel) => client.removeChannel(channel),
    opened,
  );
}

function party(client, open, remove, opened) {
  return {
    opened,
    channel: (name, config = {}, listen = {}) => seat(open(name, config), remove, listen),
    setAuth: (token) => client.setAuth(token),
    async close() {
      await client.removeAllChannels();
      await client.disconnect();
    },
  };
}

function seat(channel, remove, listen) {
  const { topic } = channel;
  const statuses = new Journal(`statuses of ${topic}`);
  const heard = new Journal(`broadcasts of ${topic}`);
  const system = new Journal(`system messages of ${topic}`);
  const people = new Journal(`presence of ${topic}`);
  channel.on("broadcast", { event: "*" }, heard.add);
  channel.on("system", {}, system.add);
  if (listen.presence) channel.on("presence", { event: "sync" }, () => people.add(withoutRefs(channel.presenceState())));
  if (listen.table) channel.on("postgres_changes", { event: "*", schema: "public", table: listen.table }, () => {});
  const join = () => {
    channel.subscribe((status, error) => statuses.add({ status, message: error?.message }));
  };
  return {
    statuses,
    heard,
    system,
    people,
    join,
    async joined() {
      join();
      await statuses.find(({ status }) => status === "SUBSCRIBED", "SUBSCRIBED");
    },
    say: (event, payload, more = {}) => channel.send({ type: "broadcast", event, payload, ...more }),
    track: (payload) => channel.track(payload),
    untrack: () => channel.untrack(),
    httpSend: channel.httpSend?.bind(channel),
    leave: () => remove(channel),
  };
}

const withoutRefs = (state) =>
  Object.fromEntries(Object.entries(state).map(([key, metas]) => [key, metas.map(({ presence_ref, ...said }) => said)]));
