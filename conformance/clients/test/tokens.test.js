// Private channels, refused joins, new tokens and expired ones, as supabase-js shows them to an application.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Journal } from "../harness/journal.js";
import { rules } from "../harness/rules.js";
import { Server } from "../harness/server.js";
import { broadcasts, close, joined, subscribe, supabase } from "../harness/supabase.js";
import { expiresIn, secret, token } from "../harness/token.js";

const isPrivate = { config: { private: true, broadcast: { ack: true } } };

/** A client whose token can be changed, as after a sign-in. */
async function person(server, vsn, claims) {
  const holder = { token: token(claims) };
  const client = supabase(server, { vsn, accessToken: async () => holder.token });
  await client.realtime.setAuth();
  return { client, holder };
}

for (const vsn of ["2.0.0", "1.0.0"]) {
  describe(`supabase-js and tokens, vsn ${vsn}`, { timeout: 60_000 }, () => {
    let server;
    const people = [];
    const someone = async (claims) => {
      const made = await person(server, vsn, claims);
      people.push(made.client);
      return made;
    };

    before(async () => {
      server = await Server.start({ secret, rules });
    });
    after(async () => {
      await Promise.all(people.map(close));
      await server.stop();
    });

    it("[R7] a rule lets people into a private channel, which is another than the public one of its name", async () => {
      const [ada, ben] = [await someone({ sub: "ada" }), await someone({ sub: "ben" })];
      const [from, to] = [ada, ben].map((p) => p.client.channel("team:red", isPrivate));
      const outside = (await someone({ role: "anon" })).client.channel("team:red");
      const [heard, overheard] = [broadcasts(to), broadcasts(outside)];
      await Promise.all([joined(from), joined(to), joined(outside)]);
      assert.equal(await from.send({ type: "broadcast", event: "secret", payload: {} }), "ok");
      await heard.count(1);
      await (await someone({})).client.channel("team:red").httpSend("public", {});
      await overheard.count(1);
      assert.deepEqual(
        overheard.items.map((m) => m.event),
        ["public"],
      );
    });

    it("[J4] a join that no rule allows is refused at once with the reason", async () => {
      const { client } = await someone({ role: "anon" });
      const refused = await subscribe(client.channel("team:red", isPrivate)).count(1);
      assert.equal(refused[0].status, "CHANNEL_ERROR");
      assert.match(refused[0].message, /^Unauthorized: You do not have permissions to read from this Channel topic: team:red/);
      const unknown = await subscribe(client.channel("nobody:knows", isPrivate)).count(1);
      assert.match(unknown[0].message, /Unauthorized/);
    });

    it("[B3] a push that no rule allows is answered with an error instead of silence", async () => {
      const channel = (await someone({ role: "bot" })).client.channel("team:red", isPrivate);
      await joined(channel);
      assert.equal(await channel.send({ type: "broadcast", event: "no", payload: {} }), "error");
      assert.equal(await channel.track({ name: "bot" }), "error");
    });

    it("setAuth gives a joined channel another token, whose rights count from then on", async () => {
      const { client, holder } = await someone({ role: "bot" });
      const channel = client.channel("team:red", isPrivate);
      const statuses = await joined(channel);
      holder.token = token({ role: "authenticated" });
      await client.realtime.setAuth();
      assert.equal(await channel.send({ type: "broadcast", event: "yes", payload: {} }), "ok");
      assert.deepEqual(
        statuses.items.map((s) => s.status),
        ["SUBSCRIBED"],
      );
    });

    it("setAuth with a token that may no longer read closes the channel and says why", async () => {
      const { client, holder } = await someone({});
      const channel = client.channel("team:red", isPrivate);
      const system = new Journal("system messages");
      channel.on("system", {}, system.add);
      const statuses = await joined(channel);
      holder.token = token({ role: "anon" });
      await client.realtime.setAuth();
      await statuses.find((s) => s.status === "CLOSED", "CLOSED");
      assert.match(system.last.message, /permissions to read from this Channel topic: team:red/);
    });

    it("a token that expires closes the channel, a public one too, and says why", async () => {
      const { client } = await someone({ exp: expiresIn(3000) });
      const channel = client.channel("short");
      const system = new Journal("system messages");
      channel.on("system", {}, system.add);
      const statuses = await joined(channel);
      await statuses.find((s) => s.status === "CLOSED", "CLOSED");
      assert.deepEqual([system.last.status, system.last.extension], ["error", "system"]);
      assert.match(system.last.message, /^Token has expired \d+ seconds ago$/);
    });

    it("a token that is renewed in time keeps the channel beyond the first one's end", async () => {
      const [{ client, holder }, watcher] = [await someone({ exp: expiresIn(3000) }), await someone({ exp: expiresIn(3500) })];
      const channel = client.channel("renewed", { config: { broadcast: { ack: true } } });
      const statuses = await joined(channel);
      const ends = await joined(watcher.client.channel("ends later"));
      holder.token = token();
      await client.realtime.setAuth();
      await ends.find((s) => s.status === "CLOSED", "CLOSED"); // by now the first token is no longer good
      assert.equal(await channel.send({ type: "broadcast", event: "still here", payload: {} }), "ok");
      assert.deepEqual(
        statuses.items.map((s) => s.status),
        ["SUBSCRIBED"],
      );
    });

    it("[R7] without a good token there is no socket", async () => {
      const forged = supabase(server, { vsn, key: token({}, "another secret, of somebody else altogether") });
      people.push(forged);
      const [first] = await subscribe(forged.channel("any")).count(1);
      assert.equal(first.status, "CHANNEL_ERROR");
    });

    it("replay hands out what was said before, oldest first and marked, then what is said now", async () => {
      const { client } = await someone({ sub: "ada" });
      const speaker = client.channel("team:replay", isPrivate);
      await joined(speaker);
      for (let n = 0; n < 30; n++) assert.equal(await speaker.send({ type: "broadcast", event: "n", payload: { n } }), "ok");

      const late = (await someone({ sub: "ben" })).client.channel("team:replay", {
        config: { private: true, broadcast: { replay: { since: Date.now() - 60_000, limit: 10 } } },
      });
      const heard = broadcasts(late);
      await joined(late);
      assert.equal(await speaker.send({ type: "broadcast", event: "n", payload: { n: 30 } }), "ok");
      const messages = await heard.count(11);
      assert.deepEqual(
        messages.map((m) => m.payload.n),
        Array.from({ length: 11 }, (_, i) => 20 + i),
      );
      assert.deepEqual(
        messages.map((m) => m.meta.replayed ?? false),
        [...Array(10).fill(true), false],
      );
    });
  });
}
