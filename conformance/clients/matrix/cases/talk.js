import assert from "node:assert/strict";
import { atLeast } from "../clients.js";

const bytes = new Uint8Array([0, 255, 4, 0x7b, 0x22]);
const everything = { text: "Grüß dich 👋", n: [1, null, true, 1.5], deep: { er: {} } };
const noBytes = "No bytes in 1.0.0: its frames are JSON (rule F4).";
const onlySendsBytes =
  "Sends bytes, in a kind 0, which has no room for an event's name; cannot read them: the kind 4 in which they arrive is Supabase's.";

/** @type {import("../matrix.js").Case[]} */
export const talk = [
  {
    column: "join",
    title: "[J1] a join is answered, and a second channel takes the same socket",
    async run(cell) {
      const party = await cell.party();
      const seats = ["a:", "b:"].map((prefix) => party.channel(cell.name(prefix)));
      await Promise.all(seats.map((seat) => seat.joined()));
      const statuses = seats.map((seat) => seat.statuses.items.map(({ status }) => status));
      assert.deepEqual(statuses, [["SUBSCRIBED"], ["SUBSCRIBED"]]);
      assert.equal(party.opened.items.length, 1);
    },
  },
  {
    column: "text",
    title: "[B1] a JSON broadcast reaches the same client and another one unchanged, with an id and an offset, both ways",
    async run(cell) {
      const seats = [await cell.party(), await cell.party(), await cell.reference()].map((party) => party.channel(cell.name()));
      await Promise.all(seats.map((seat) => seat.joined()));
      const [ada, ben, other] = seats;
      assert.equal(await ada.say("hello", everything), "ok");
      for (const { heard } of [ben, other]) {
        const [message] = await heard.count(1);
        assert.deepEqual([message.event, message.payload], ["hello", everything]);
        assert.match(message.meta.id, /^[0-9a-f-]{36}$/);
        assert.equal(message.meta.offset, 1);
      }
      assert.equal(await other.say("back", everything), "ok");
      for (const { heard } of [ada, ben]) {
        const message = await heard.find(({ event }) => event === "back", "the answer");
        assert.deepEqual([message.payload, message.meta.offset], [everything, 2]);
      }
    },
  },
  {
    column: "binary",
    title: "[F3] [F4] bytes arrive as bytes",
    not: ({ vsn }) => (vsn === "1.0.0" ? noBytes : undefined),
    note: ({ family }) => (family === "phoenix" ? onlySendsBytes : undefined),
    async lacks(cell) {
      const [own, other] = [await cell.party(), await cell.reference()].map((party) => party.channel(cell.name()));
      await Promise.all([own.joined(), other.joined()]);
      await own.say("bytes", bytes.buffer);
      const [message] = await other.heard.count(1);
      assert.deepEqual(message.payload, {}); // what JSON makes of them, in the client
      await other.say("bytes", bytes.buffer);
      await other.say("json", everything);
      const [first] = await own.heard.count(1);
      assert.equal(first.event, "json"); // and not the bytes before it
    },
    async run(cell) {
      // Acknowledged, because two ways to the server have no order between them: what goes over HTTP could come first.
      const from = (await cell.party()).channel(cell.name(), { broadcast: { ack: true } });
      // A member without `self` does not get what it sends, so that stock phoenix may send what it cannot read.
      const listeners = cell.client.family === "phoenix" ? [cell.reference()] : [cell.party(), cell.reference()];
      const seats = (await Promise.all(listeners)).map((party) => party.channel(cell.name()));
      await Promise.all([from, ...seats].map((seat) => seat.joined()));
      const events = [cell.client.family === "phoenix" ? "" : "bytes"];
      assert.equal(await from.say("bytes", bytes.buffer), "ok");
      if (from.httpSend && atLeast(cell.client, "2.107")) {
        assert.deepEqual(await from.httpSend("over HTTP", bytes), { success: true });
        events.push("over HTTP");
      }
      for (const { heard } of seats) {
        const messages = await heard.count(events.length);
        assert.deepEqual(
          messages.map(({ event }) => event),
          events,
        );
        for (const { payload } of messages) assert.deepEqual(new Uint8Array(payload), bytes);
      }
    },
  },
  {
    column: "ack",
    title: "[B3] an acknowledgement says that it is done, after the own copy",
    async run(cell) {
      const seat = (await cell.party()).channel(cell.name(), { broadcast: { ack: true, self: true } });
      await seat.joined();
      assert.equal(await seat.say("written", { n: 1 }), "ok");
      assert.deepEqual(
        seat.heard.items.map(({ payload }) => payload),
        [{ n: 1 }],
      );
    },
  },
  {
    column: "self",
    title: "[B5] who sends hears it only if it asked for that",
    async run(cell) {
      const quiet = (await cell.party()).channel(cell.name());
      const loud = (await cell.party()).channel(cell.name(), { broadcast: { self: true } });
      await Promise.all([quiet.joined(), loud.joined()]);
      await quiet.say("first", {});
      await loud.heard.count(1);
      await loud.say("second", {});
      await Promise.all([loud.heard.count(2), quiet.heard.count(1)]);
      const events = ({ heard }) => heard.items.map(({ event }) => event);
      // The channel's order is one: the first would have come before the second.
      assert.deepEqual([events(quiet), events(loud)], [["second"], ["first", "second"]]);
    },
  },
  {
    column: "before join",
    title: "a broadcast that is sent before the channel is joined is not lost",
    note: ({ family }) =>
      family === "phoenix"
        ? "Waits in the client for the join's reply; Supabase's clients send it over HTTP instead."
        : undefined,
    async run(cell) {
      const member = (await cell.party()).channel(cell.name());
      await member.joined();
      const early = (await cell.party()).channel(cell.name());
      if (cell.client.family === "phoenix") early.join();
      assert.equal(await early.say("early", everything), "ok");
      const [message] = await member.heard.count(1);
      assert.deepEqual([message.event, message.payload], ["early", everything]);
    },
  },
  {
    column: "httpSend",
    title: "httpSend is accepted, and refused with a reason",
    not(client) {
      if (client.family === "phoenix") return "Has no HTTP of its own.";
      return atLeast(client, "2.76") ? undefined : "httpSend came with 2.76.";
    },
    async lacks(cell) {
      assert.equal((await cell.party()).channel(cell.name()).httpSend, undefined);
    },
    async run(cell) {
      const member = (await cell.party()).channel(cell.name());
      await member.joined();
      const outside = (await cell.party()).channel(cell.name());
      assert.deepEqual(await outside.httpSend("plain", everything), { success: true });
      const [message] = await member.heard.count(1);
      assert.deepEqual([message.event, message.payload], ["plain", everything]);
      const late = await cell.party({ exp: 1 });
      await assert.rejects(late.channel(cell.name()).httpSend("no", {}), /Unauthorized/);
    },
  },
  {
    column: "limit",
    title:
      "[L1] [L2] what is beyond a limit is refused at once and not delivered, and the channel lives, its other members too",
    async run(cell) {
      const config = { private: true, broadcast: { ack: true } };
      const [ada, ben] = [await cell.party(), await cell.party()].map((party) => party.channel(cell.name("slow:"), config));
      await Promise.all([ada.joined(), ben.joined()]);
      const answers = await Promise.all(Array.from({ length: 40 }, (_, n) => ada.say("n", { n })));
      const delivered = answers.flatMap((answer, n) => (answer === "ok" ? [n] : []));
      assert.ok(delivered.length >= 10 && delivered.length < 40, `${delivered.length} were accepted`);
      assert.equal(answers.filter((answer) => answer === "error").length, 40 - delivered.length);
      assert.equal(await ben.say("end", {}), "ok");
      await ada.heard.find(({ event }) => event === "end", "what Ben says");
      await ben.heard.count(delivered.length);
      assert.deepEqual(
        ben.heard.items.map(({ payload }) => payload.n),
        delivered,
      );
      for (const { statuses } of [ada, ben]) assert.equal(statuses.items.length, 1);
    },
  },
  {
    column: "10,000",
    title: "[R1] 10,000 messages arrive in order, without a hole",
    alone: true,
    async run(cell) {
      const n = 10_000;
      const seats = [await cell.party(), await cell.party()].map((party) =>
        party.channel(cell.name("flood:"), { private: true }),
      );
      await Promise.all(seats.map((seat) => seat.joined()));
      for (let i = 0; i < n; i++) seats[0].say("n", i);
      const heard = await seats[1].heard.count(n);
      assert.deepEqual(
        heard.map(({ payload, meta }) => [payload, meta.offset]),
        Array.from({ length: n }, (_, i) => [i, i + 1]),
      );
    },
  },
];
