// Stock phoenix against the built binary. It knows nothing of Supabase: what Supabase's clients do by themselves is written out.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Journal } from "../harness/journal.js";
import { answer, channelOf, events, hangUp, phoenix, presences, track } from "../harness/phoenix.js";
import { rules } from "../harness/rules.js";
import { Server } from "../harness/server.js";
import { expiresIn, secret, token } from "../harness/token.js";

const say = (channel, event, payload, meta) =>
  answer(channel.push("broadcast", { type: "broadcast", event, payload, ...(meta ? { meta } : {}) }));

describe("phoenix", { timeout: 60_000 }, () => {
  /** @type {Server} */
  let server;
  const sockets = [];
  const socket = (options) => {
    const made = phoenix(server, options);
    sockets.push(made);
    return made;
  };
  const channel = (name, config, options) => channelOf(socket(options), name, config);
  const join = async (...channels) => {
    for (const c of channels) assert.equal((await answer(c.join())).status, "ok");
  };

  before(async () => {
    server = await Server.start({ secret, rules });
  });
  after(async () => {
    await Promise.all(sockets.map(hangUp));
    await server.stop();
  });

  it("joins, and is answered as Supabase answers", async () => {
    assert.deepEqual(await answer(channel("join").join()), { status: "ok", response: { postgres_changes: [] } });
  });

  it("[B1] [B3] [B5] broadcasts to the others, and to itself if asked, before the acknowledgement", async () => {
    const ada = channel("talk", { broadcast: { ack: true, self: true } });
    const ben = channel("talk");
    const [own, heard] = [events(ada, "broadcast"), events(ben, "broadcast")];
    await join(ada, ben);
    const { status, response } = await say(ada, "hello", { text: "Grüß dich" });
    assert.equal(status, "ok");
    assert.deepEqual(own.items, [{ type: "broadcast", event: "hello", payload: { text: "Grüß dich" }, meta: response }]);
    const [message] = await heard.count(1);
    assert.deepEqual(message, own.items[0]);
  });

  it("[B2] the same id is delivered once, and acknowledged with the first position", async () => {
    const ada = channel("twice", { broadcast: { ack: true, self: true } });
    const own = events(ada, "broadcast");
    await join(ada);
    const meta = { id: "0192f0c1-2b3c-7000-8000-000000000001" };
    const first = await say(ada, "pay", {}, meta);
    assert.deepEqual(await say(ada, "pay", {}, meta), first);
    await say(ada, "next", {});
    assert.deepEqual(
      own.items.map((m) => m.event),
      ["pay", "next"],
    );
  });

  it("[B4] an ephemeral message arrives and is not in the log", async () => {
    const [ada, ben] = [
      channel("team:cursor", { private: true, broadcast: { ack: true } }),
      channel("team:cursor", { private: true }),
    ];
    const heard = events(ben, "broadcast");
    await join(ada, ben);
    assert.equal((await say(ada, "cursor", { x: 1 }, { ephemeral: true })).status, "ok");
    await say(ada, "kept", {});
    await heard.count(2);
    assert.equal(heard.items[0].meta?.offset, undefined);

    const late = channel("team:cursor", { private: true, broadcast: { replay: { since: Date.now() - 60_000, limit: 10 } } });
    const replayed = events(late, "broadcast");
    await join(late);
    await replayed.count(1);
    assert.deepEqual(
      replayed.items.map((m) => m.event),
      ["kept"],
    );
  });

  it("Phoenix presence synchronises: track, track again, untrack, a lost socket", async () => {
    const line = socket();
    const ada = channelOf(line, "presence", { presence: { key: "ada", enabled: true } });
    const ben = channel("presence", { presence: { key: "ben", enabled: true } });
    const there = presences(ben);
    const said = (items) =>
      Object.fromEntries(Object.entries(items.at(-1) ?? {}).map(([key, metas]) => [key, metas.map((m) => m.at)]));
    const shows = (expected) => (items) => items.length > 0 && JSON.stringify(said(items)) === JSON.stringify(expected);
    await join(ada, ben);
    await there.until(shows({}), "an empty room");
    assert.deepEqual(await track(ada, { at: "desk" }), { status: "ok", response: {} });
    await there.until(shows({ ada: ["desk"] }), "Ada at her desk");
    await track(ada, { at: "door" });
    await there.until(shows({ ada: ["door"] }), "Ada at the door");
    await answer(ada.push("presence", { type: "presence", event: "untrack" }));
    await there.until(shows({}), "nobody");
    await track(ada, { at: "back" });
    await there.until(shows({ ada: ["back"] }), "Ada, back");
    await hangUp(line);
    await there.until(shows({}), "nobody again");
  });

  it("[J4] a refused join says why, in words and as a code, and the socket stays", async () => {
    const line = socket({ key: token({ role: "anon" }) });
    const { status, response } = await answer(channelOf(line, "team:red", { private: true }).join());
    assert.equal(status, "error");
    assert.equal(response.reason, "Unauthorized: You do not have permissions to read from this Channel topic: team:red");
    assert.deepEqual([response.code, response.retryable], ["unauthorized", false]);
    assert.equal((await answer(channelOf(line, "open").join())).status, "ok");
    for (const c of line.channels) c.leave();
  });

  it("[B3] a push that no rule allows is answered even without ack", async () => {
    const bot = channel("team:red", { private: true }, { key: token({ role: "bot" }) });
    await join(bot);
    const { status, response } = await say(bot, "no", {});
    assert.equal(status, "error");
    assert.equal(response.code, "unauthorized");
  });

  it("[F6] leaving is answered and then closed", async () => {
    const ada = channel("leave");
    const closed = new Journal("closes");
    ada.onClose(() => closed.add("closed"));
    await join(ada);
    assert.equal((await answer(ada.leave())).status, "ok");
    await closed.count(1);
  });

  it("[J2] a second join of a topic takes the place of the first", async () => {
    const line = socket();
    const [first, second] = [channelOf(line, "again"), channelOf(line, "again")];
    const closed = new Journal("closes");
    first.onClose(() => closed.add("first"));
    second.onClose(() => closed.add("second"));
    const heard = events(second, "broadcast");
    await join(first, second);
    await closed.count(1);
    const ben = channel("again", { broadcast: { ack: true } });
    await join(ben);
    await say(ben, "hello", {});
    await heard.count(1);
    assert.deepEqual(closed.items, ["first"]);
  });

  it("a token that expires ends the channel with a reason", async () => {
    const ada = channel("short", {}, { key: token({ exp: expiresIn(3000) }) });
    const [system, closed] = [events(ada, "system"), new Journal("closes")];
    ada.onClose(closed.add);
    await join(ada);
    await closed.count(1);
    assert.match(system.last.message, /^Token has expired \d+ seconds ago$/);
  });

  it("[C2] heartbeats are answered", async () => {
    const line = socket();
    await join(channelOf(line, "beat"));
    const beats = new Journal("heartbeats");
    assert.ok(line.ping(beats.add));
    const [rtt] = await beats.count(1);
    assert.ok(rtt >= 0);
  });
});
