import assert from "node:assert/strict";
import { expiresIn } from "../../harness/token.js";
import { atLeast } from "../clients.js";

const acked = { private: true, broadcast: { ack: true } };

/** How long a token lives that is to expire, in ms: a busy machine must have joined by then. */
const SHORT_LIFE_MS = 3000;

/** What a late member is told in a channel that keeps one message, after one that was to be kept and three that were not. */
async function whatIsKept(cell) {
  const writer = (await cell.party()).channel(cell.name("brief:"), acked);
  await writer.joined();
  await writer.say("kept", {}, { persist: { ttl: 60 } });
  for (const n of [1, 2, 3]) assert.equal(await writer.say(`passing ${n}`, {}), "ok");
  const replay = { since: Date.now() - 60_000, limit: 100 };
  const late = (await cell.party()).channel(cell.name("brief:"), { private: true, broadcast: { replay } });
  await late.joined();
  await writer.say("live", {});
  await late.heard.find(({ event }) => event === "live", "the live message");
  return late.heard.items.map(({ event }) => event);
}

/** @type {import("../matrix.js").Case[]} */
export const tokens = [
  {
    column: "private",
    title: "[R7] a rule lets people into a private channel, which is another than the public one of its name",
    async run(cell) {
      const [ada, ben] = [await cell.party(), await cell.party()].map((party) => party.channel(cell.name("team:"), acked));
      const outside = (await cell.party({ role: "anon" })).channel(cell.name("team:"), { broadcast: { self: true } });
      await Promise.all([ada, ben, outside].map((seat) => seat.joined()));
      assert.equal(await ada.say("secret", {}), "ok");
      await ben.heard.count(1);
      await outside.say("public", {});
      await outside.heard.count(1);
      const events = [ben, outside].map(({ heard }) => heard.items.map(({ event }) => event));
      assert.deepEqual(events, [["secret"], ["public"]]);
    },
  },
  {
    column: "refused",
    title: "[J4] [B3] a join and a push that no rule allows are refused at once, with the reason",
    async run(cell) {
      const stranger = await cell.party({ role: "anon" });
      const refused = stranger.channel(cell.name("team:"), acked);
      refused.join();
      const [{ status, message }] = await refused.statuses.count(1);
      assert.equal(status, "CHANNEL_ERROR");
      assert.match(message, /Unauthorized: You do not have permissions to read from this Channel topic: team:/);
      const open = stranger.channel(cell.name());
      await open.joined(); // the socket lives

      const reader = (await cell.party({ role: "bot" })).channel(cell.name("team:"), acked);
      await reader.joined();
      assert.equal(await reader.say("no", {}), "error");
      assert.equal(await reader.track({ at: "door" }), "error");
    },
  },
  {
    column: "setAuth",
    title: "[J5] a new token counts from then on; one that may not read ends the channel, which says why",
    note: ({ family }) => (family === "phoenix" ? "By pushing `access_token`, which is what setAuth does." : undefined),
    async run(cell) {
      const party = await cell.party({ role: "bot" });
      const seat = party.channel(cell.name("team:"), acked);
      await seat.joined();
      assert.equal(await seat.say("not yet", {}), "error");
      await party.setAuth(cell.token());
      assert.equal(await seat.say("now", {}), "ok");
      assert.equal(seat.statuses.items.length, 1);
      await party.setAuth(cell.token({ role: "anon" }));
      await seat.statuses.find(({ status }) => status === "CLOSED", "CLOSED");
      assert.match(seat.system.last.message, /permissions to read from this Channel topic: team:/);
    },
  },
  {
    column: "expiry",
    title: "a token that expires ends a channel with the reason; one that was renewed in time does not",
    async run(cell) {
      const [tired, fresh] = [
        await cell.party({ exp: expiresIn(SHORT_LIFE_MS) }),
        await cell.party({ exp: expiresIn(SHORT_LIFE_MS) }),
      ];
      const ends = tired.channel(cell.name());
      const stays = fresh.channel(cell.name(), { broadcast: { ack: true } });
      await Promise.all([ends.joined(), stays.joined()]);
      await fresh.setAuth(cell.token());
      await ends.statuses.find(({ status }) => status === "CLOSED", "CLOSED"); // the other token was made together with this one
      assert.deepEqual([ends.system.last.status, ends.system.last.extension], ["error", "system"]);
      assert.match(ends.system.last.message, /^Token has expired \d+ seconds ago$/);
      assert.equal(await stays.say("still here", {}), "ok");
      assert.equal(stays.statuses.items.length, 1);
    },
  },
  {
    column: "replay",
    title: "who joins late is told the newest messages, oldest first, before new ones",
    note: (client) =>
      client.family === "phoenix" || !atLeast(client, "2.74")
        ? "Not in its types; its `config` goes to the server as it is."
        : undefined,
    async run(cell) {
      const writer = (await cell.party()).channel(cell.name("team:"), acked);
      await writer.joined();
      for (const n of [1, 2, 3]) assert.equal(await writer.say("n", { n }), "ok");
      const late = (await cell.party()).channel(cell.name("team:"), {
        private: true,
        broadcast: { replay: { since: Date.now() - 60_000, limit: 2 } },
      });
      await late.joined();
      assert.equal(await writer.say("n", { n: 4 }), "ok");
      const heard = await late.heard.count(3);
      assert.deepEqual(
        heard.map(({ payload, meta }) => [payload.n, meta.replayed]),
        [
          [2, true],
          [3, true],
          [4, undefined],
        ],
      );
    },
  },
  {
    column: "persist",
    title: "[B6] a message that is to be kept is replayed when the others are gone",
    not(client) {
      if (client.family === "phoenix")
        return "`persist` is a key of Supabase's messages; by hand it is `meta.persist` (rule B6).";
      if (!atLeast(client, "2.119")) return "persist came with 2.119.";
      return client.vsn === "1.0.0" ? "persist is for 2.0.0 only: the client refuses it otherwise." : undefined;
    },
    async lacks(cell) {
      assert.deepEqual(await whatIsKept(cell), ["passing 3", "live"]);
    },
    async run(cell) {
      assert.deepEqual(await whatIsKept(cell), ["kept", "passing 3", "live"]);
    },
  },
  {
    column: "postgres",
    title: "postgres_changes are refused honestly, and the channel lives",
    async run(cell) {
      const seat = (await cell.party()).channel(cell.name(), { broadcast: { ack: true } }, { table: "notes" });
      await seat.joined();
      const refusal = await seat.system.find(
        ({ extension }) => extension === "postgres_changes",
        "answer about postgres_changes",
      );
      assert.equal(refusal.status, "error");
      assert.equal(await seat.say("still here", {}), "ok");
    },
  },
];
