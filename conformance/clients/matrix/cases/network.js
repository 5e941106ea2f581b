import assert from "node:assert/strict";
import { atLeast } from "../clients.js";

/** Between heartbeats, in ms: a dead link is noticed after two, and a busy machine answers within one. */
const HEARTBEAT_MS = 1000;
const RECONNECT_MS = 50;

/** 2.11 connects again, and in doing so clears the timer that would have made it join again; whatever the server. */
const joinsAgain = ({ family, version }) => family === "phoenix" || atLeast({ version }, "2.12");

const byHand = (client) =>
  joinsAgain(client)
    ? undefined
    : "Connects again by itself and does not join again, whatever the server: the application must.";

const twice = (items) =>
  items.filter(({ status }) => status === "SUBSCRIBED").length > 1 && items.at(-1).status === "SUBSCRIBED";

/** A party on a link of its own, in one channel with a witness; the link fails, and both hear each other again. */
async function comesBack(cell, options, fail) {
  const link = await cell.link();
  const party = await cell.party({}, { url: link.url, reconnectMs: RECONNECT_MS, ...options });
  const config = { broadcast: { ack: true } };
  let seat = party.channel(cell.name(), config);
  const witness = (await cell.reference()).channel(cell.name(), config);
  await Promise.all([seat.joined(), witness.joined()]);

  fail(link);
  await seat.statuses.find(({ status }) => status === "CHANNEL_ERROR", "CHANNEL_ERROR");
  await party.opened.count(2);
  if (joinsAgain(cell.client)) {
    await seat.statuses.until(twice, "SUBSCRIBED again");
  } else {
    seat.leave();
    seat = party.channel(cell.name(), config);
    await seat.joined();
  }

  assert.equal(await witness.say("are you there", {}), "ok");
  await seat.heard.find(({ event }) => event === "are you there", "the question");
  assert.equal(await seat.say("here", {}), "ok");
  await witness.heard.find(({ event }) => event === "here", "the answer");
}

/** @type {import("../matrix.js").Case[]} */
export const network = [
  {
    column: "StrictMode",
    title: "a channel that is joined, left and joined again in one tick lives, on a new socket and on one that is open",
    async run(cell) {
      const party = await cell.party();
      const witness = (await cell.reference()).channel(cell.name(), { broadcast: { ack: true } });
      await witness.joined();
      for (const round of ["cold", "warm"]) {
        const first = party.channel(cell.name());
        first.join();
        first.leave();
        const second = party.channel(cell.name());
        await second.joined();
        assert.equal(await witness.say(round, {}), "ok");
        await second.heard.find(({ event }) => event === round, `the broadcast of the ${round} round`);
        // What could have ended it late, the answers to the first join and leave, came before that broadcast.
        assert.deepEqual(
          second.statuses.items.map(({ status }) => status),
          ["SUBSCRIBED"],
        );
        assert.equal(first.statuses.items.filter(({ status }) => status === "SUBSCRIBED").length, 0);
        if (round === "cold") await party.channel(cell.name("other:")).joined(); // keeps the socket
        await second.leave();
      }
    },
  },
  {
    column: "100 channels",
    title: "100 channels live on one socket, each with its own messages",
    async run(cell) {
      const party = await cell.party();
      const seats = Array.from({ length: 100 }, (_, i) =>
        party.channel(cell.name(`many-${i}-`), { broadcast: { ack: true, self: true } }),
      );
      await Promise.all(seats.map((seat) => seat.joined()));
      const answers = await Promise.all(seats.map((seat, i) => seat.say("mine", { i })));
      assert.ok(answers.every((answer) => answer === "ok"));
      assert.deepEqual(
        seats.map(({ heard }) => heard.items.map(({ payload }) => payload.i)),
        seats.map((_, i) => [i]),
      );
      assert.equal(party.opened.items.length, 1);
    },
  },
  {
    column: "cut link",
    title: "after a cut link the client comes back and is heard",
    note: byHand,
    run: (cell) => comesBack(cell, {}, (link) => link.cut()),
  },
  {
    column: "black hole",
    title: "[C2] a link that swallows everything is noticed by its heartbeats, and the client comes back on another",
    note: byHand,
    run: (cell) => comesBack(cell, { heartbeatMs: HEARTBEAT_MS }, (link) => link.blackHole()),
  },
];
