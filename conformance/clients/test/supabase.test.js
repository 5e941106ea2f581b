// Unmodified supabase-js against the built binary, with both versions of its wire.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Journal } from "../harness/journal.js";
import { rules } from "../harness/rules.js";
import { Server } from "../harness/server.js";
import { broadcasts, close, joined, subscribe, supabase } from "../harness/supabase.js";
import { secret, token } from "../harness/token.js";

const say = (channel, event, payload) => channel.send({ type: "broadcast", event, payload });

for (const vsn of ["2.0.0", "1.0.0"]) {
  describe(`supabase-js, vsn ${vsn}`, { timeout: 60_000 }, () => {
    /** @type {Server} */
    let server;
    const clients = [];
    const client = (options = {}) => {
      const made = supabase(server, { vsn, ...options });
      clients.push(made);
      return made;
    };

    before(async () => {
      server = await Server.start({ secret, rules });
    });
    after(async () => {
      await Promise.all(clients.map(close));
      await server.stop();
    });

    it("[B1] a broadcast reaches the other member with an id and an offset", async () => {
      const [ada, ben] = [client().channel("hello"), client().channel("hello")];
      const heard = broadcasts(ben, "greeting");
      await Promise.all([joined(ada), joined(ben)]);
      assert.equal(await say(ada, "greeting", { text: "Grüß dich 👋", n: [1, null, true] }), "ok");
      const [message] = await heard.count(1);
      assert.equal(message.event, "greeting");
      assert.deepEqual(message.payload, { text: "Grüß dich 👋", n: [1, null, true] });
      assert.match(message.meta.id, /^[0-9a-f-]{36}$/);
      assert.ok(message.meta.offset > 0);
    });

    it("[B5] self: false leaves out the sender, and self: true its sender only includes", async () => {
      const quiet = client().channel("self");
      const loud = client().channel("self", { config: { broadcast: { self: true } } });
      const [byQuiet, byLoud] = [broadcasts(quiet), broadcasts(loud)];
      await Promise.all([joined(quiet), joined(loud)]);
      await say(quiet, "first", {});
      await byLoud.count(1);
      await say(loud, "second", {});
      await Promise.all([byLoud.count(2), byQuiet.count(1)]);
      assert.deepEqual(
        byLoud.items.map((m) => m.event),
        ["first", "second"],
      );
      // The channel's order is one: what came first would have been here before.
      assert.deepEqual(
        byQuiet.items.map((m) => m.event),
        ["second"],
      );
    });

    it("[B3] an acknowledgement comes after the own copy", async () => {
      const channel = client().channel("ack", { config: { broadcast: { ack: true, self: true } } });
      const heard = broadcasts(channel);
      await joined(channel);
      assert.equal(await say(channel, "written", { n: 1 }), "ok");
      assert.equal(heard.items.length, 1);
    });

    it("[R1] 2,000 messages of two senders arrive in one order, without a hole", async () => {
      const channels = [1, 2, 3].map(() => client().channel("order", { config: { broadcast: { self: true } } }));
      const heard = channels.map((c) => broadcasts(c, "n"));
      await Promise.all(channels.map(joined));
      for (let n = 0; n < 1000; n++) {
        say(channels[0], "n", { from: 0, n });
        say(channels[1], "n", { from: 1, n });
      }
      const [first, ...others] = await Promise.all(heard.map((h) => h.count(2000)));
      for (const from of [0, 1]) {
        const own = first.filter((m) => m.payload.from === from).map((m) => m.payload.n);
        assert.deepEqual(
          own,
          Array.from({ length: 1000 }, (_, n) => n),
        );
      }
      const offsets = first.map((m) => m.meta.offset);
      assert.deepEqual(
        offsets,
        offsets.map((_, i) => offsets[0] + i),
      );
      for (const other of others) assert.deepEqual(other, first);
    });

    it("one channel is joined, left and joined again in one tick, as React's StrictMode does", async () => {
      const [strict, other] = [client(), client().channel("strict")];
      await joined(other);
      const first = strict.channel("strict");
      const firstStatuses = subscribe(first);
      strict.removeChannel(first);
      const second = strict.channel("strict");
      const heard = broadcasts(second);
      const secondStatuses = await joined(second);
      await say(other, "to the living", {});
      await heard.count(1);
      assert.notEqual(first, second);
      assert.deepEqual(
        secondStatuses.items.map((s) => s.status),
        ["SUBSCRIBED"],
      );
      assert.equal(firstStatuses.items.filter((s) => s.status === "SUBSCRIBED").length, 0);
    });

    it("50 channels live on one socket, each with its own messages", async () => {
      const [here, there] = [client(), client()];
      const names = Array.from({ length: 50 }, (_, i) => `many-${i}`);
      const listening = names.map((name) => here.channel(name));
      const heard = listening.map((c) => broadcasts(c));
      const speaking = names.map((name) => there.channel(name));
      await Promise.all([...listening, ...speaking].map(joined));
      await Promise.all(speaking.map((c, i) => say(c, "hello", { i })));
      const all = await Promise.all(heard.map((h) => h.count(1)));
      assert.deepEqual(
        all.map(([m]) => m.payload.i),
        names.map((_, i) => i),
      );
      await Promise.all(speaking.map((c) => there.removeChannel(c)));
    });

    it("a broadcast before the channel is joined goes over HTTP and reaches the members", async () => {
      const [member, stranger] = [client().channel("early"), client().channel("early")];
      const heard = broadcasts(member);
      await joined(member);
      const warn = console.warn; // the client says that it falls back, which is what is tested
      const warnings = new Journal("warnings");
      console.warn = warnings.add;
      try {
        assert.equal(await say(stranger, "over HTTP", { n: 1 }), "ok");
      } finally {
        console.warn = warn;
      }
      const [message] = await heard.count(1);
      assert.deepEqual([message.event, message.payload], ["over HTTP", { n: 1 }]);
      assert.match(warnings.items[0], /falling back to REST/);
    });

    it("httpSend sends JSON, and says why it may not", async () => {
      const member = client().channel("http");
      const heard = broadcasts(member);
      await joined(member);
      assert.deepEqual(await client().channel("http").httpSend("plain", [1, 2]), { success: true });
      const [message] = await heard.count(1);
      assert.deepEqual([message.event, message.payload], ["plain", [1, 2]]);

      const bot = client({ accessToken: async () => token({ role: "bot" }) });
      await bot.realtime.setAuth();
      await assert.rejects(bot.channel("team:http", { config: { private: true } }).httpSend("no", {}), /Unauthorized/);
      const forger = client({ key: token({}, "another secret, of somebody else altogether") });
      await assert.rejects(forger.channel("http").httpSend("no", {}), /Unauthorized/);
    });

    it("postgres_changes are refused honestly, and the channel lives", async () => {
      const channel = client().channel("database");
      const system = new Journal("system messages");
      const heard = broadcasts(channel);
      channel.on("postgres_changes", { event: "*", schema: "public", table: "notes" }, () => {});
      channel.on("system", {}, system.add);
      await joined(channel);
      const refusal = await system.find((m) => m.extension === "postgres_changes", "answer about postgres_changes");
      assert.equal(refusal.status, "error");
      await client().channel("database").httpSend("still here", {});
      await heard.count(1);
    });
  });
}

describe("supabase-js, raw bytes", { timeout: 60_000 }, () => {
  let server;
  before(async () => {
    server = await Server.start({ secret, rules });
  });
  after(() => server.stop());

  it("[F4] go to members with vsn 2.0.0, over the socket and over HTTP, and never to one with 1.0.0", async () => {
    const [sender, receiver, old] = [supabase(server), supabase(server), supabase(server, { vsn: "1.0.0" })];
    const [from, to, aside] = [sender, receiver, old].map((c) => c.channel("bytes"));
    const [heard, byOld] = [broadcasts(to), broadcasts(aside)];
    await Promise.all([from, to, aside].map(joined));
    const bytes = new Uint8Array([0, 255, 4, 0x7b, 0x22]);
    await say(from, "socket", bytes.buffer);
    await heard.count(1);
    assert.deepEqual(await from.httpSend("http", bytes), { success: true });
    await heard.count(2);
    await say(from, "json", { after: "the bytes" });
    const messages = await heard.count(3);
    await byOld.count(1);
    for (const message of messages.slice(0, 2)) assert.deepEqual(new Uint8Array(message.payload), bytes);
    assert.deepEqual(
      messages.map((m) => m.event),
      ["socket", "http", "json"],
    );
    assert.ok(messages[0].meta.offset > 0, "[B1] holds for bytes too");
    assert.deepEqual(
      byOld.items.map((m) => m.event),
      ["json"],
    );
    await Promise.all([sender, receiver, old].map(close));
  });
});
