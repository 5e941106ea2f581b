import { Journal } from "../harness/journal.js";
import { countingTransport } from "./transport.js";

/** Stock phoenix. What Supabase's clients do by themselves, such as the shape of a broadcast, is written out here. */
export async function phoenix(module, _row, { url, token, heartbeatMs, reconnectMs }) {
  const { Presence, Socket } = await import(module);
  const { transport, opened } = countingTransport();
  const socket = new Socket(`${url.replace("http", "ws")}/socket`, {
    transport,
    params: { apikey: token },
    ...(heartbeatMs ? { heartbeatIntervalMs: heartbeatMs } : {}),
    ...(reconnectMs ? { reconnectAfterMs: () => reconnectMs, rejoinAfterMs: () => reconnectMs } : {}),
  });
  socket.connect();
  return {
    opened,
    channel(name, config = {}, listen = {}) {
      const asked = listen.table
        ? { ...config, postgres_changes: [{ event: "*", schema: "public", table: listen.table }] }
        : config;
      const made = { ...asked, presence: { enabled: Boolean(listen.presence), ...asked.presence } };
      return seat(socket.channel(`realtime:${name}`, { config: made }), made, listen.presence && Presence);
    },
    // Not a method of phoenix: the frame that Supabase's clients send (J5).
    async setAuth(next) {
      for (const channel of socket.channels) channel.push("access_token", { access_token: next });
    },
    close: () => new Promise((done) => socket.disconnect(done)),
  };
}

function seat(channel, config, Presence) {
  const { topic } = channel;
  const statuses = new Journal(`statuses of ${topic}`);
  const heard = new Journal(`broadcasts of ${topic}`);
  const system = new Journal(`system messages of ${topic}`);
  const people = new Journal(`presence of ${topic}`);
  channel.on("broadcast", heard.add);
  channel.on("system", system.add);
  channel.onError((reason) => statuses.add({ status: "CHANNEL_ERROR", message: String(reason ?? "") }));
  channel.onClose(() => statuses.add({ status: "CLOSED" }));
  if (Presence) {
    const presence = new Presence(channel);
    presence.onSync(() => people.add(Object.fromEntries(presence.list((key, { metas }) => [key, metas.map(withoutRefs)]))));
  }
  const join = () => {
    channel
      .join()
      .receive("ok", () => statuses.add({ status: "SUBSCRIBED" }))
      .receive("error", ({ reason }) => statuses.add({ status: "CHANNEL_ERROR", message: reason }))
      .receive("timeout", () => statuses.add({ status: "TIMED_OUT" }));
  };
  const say = (event, payload) => {
    // Bytes travel as a push of kind 0, which has no room for an event's name besides the push's own.
    const push = channel.push("broadcast", payload instanceof ArrayBuffer ? payload : { type: "broadcast", event, payload });
    return config.broadcast?.ack ? answer(push) : Promise.resolve("ok");
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
    say,
    track: (payload) => answer(channel.push("presence", { type: "presence", event: "track", payload })),
    untrack: () => answer(channel.push("presence", { type: "presence", event: "untrack" })),
    leave: () => channel.leave(),
  };
}

const withoutRefs = ({ phx_ref, phx_ref_prev, ...said }) => said;

const answer = (push) =>
  new Promise((done) => {
    push
      .receive("ok", () => done("ok"))
      .receive("error", () => done("error"))
      .receive("timeout", () => done("timed out"));
  });
