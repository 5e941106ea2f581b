import assert from "node:assert/strict";

const shows = (expected) => (items) => items.length > 0 && JSON.stringify(items.at(-1)) === JSON.stringify(expected);
const as = (key) => ({ presence: { key } });

/** @type {import("../matrix.js").Case[]} */
export const presence = [
  {
    column: "presence",
    title: "[P1] [P2] [P3] track, change, untrack, leave and a lost socket are seen as they happen, and by who comes late",
    async run(cell) {
      const name = cell.name();
      const link = await cell.link();
      const [home, away] = [await cell.party(), await cell.party({}, { url: link.url, reconnectMs: 60_000 })];
      const ada = home.channel(name, as("ada"));
      const cleo = away.channel(name, as("cleo"));
      const ben = (await cell.party()).channel(name, as("ben"), { presence: true });
      await Promise.all([ada, ben, cleo].map((seat) => seat.joined()));
      await ben.people.until(shows({}), "an empty room");

      assert.equal(await ada.track({ mood: "calm" }), "ok");
      await ben.people.until(shows({ ada: [{ mood: "calm" }] }), "Ada, calm");
      assert.equal(await ada.track({ mood: "busy" }), "ok");
      await ben.people.until(shows({ ada: [{ mood: "busy" }] }), "Ada, busy, once");
      assert.equal(await ada.untrack(), "ok");
      await ben.people.until(shows({}), "an empty room again");

      await ada.track({ mood: "back" });
      await cleo.track({ mood: "new" });
      const both = { ada: [{ mood: "back" }], cleo: [{ mood: "new" }] };
      await ben.people.until((items) => Object.keys(items.at(-1)).length === 2, "both");
      const late = (await cell.party()).channel(name, as("late"), { presence: true });
      await late.joined();
      await late.people.count(1);
      assert.deepEqual(late.people.items[0], both);

      ada.leave();
      await ben.people.until(shows({ cleo: [{ mood: "new" }] }), "only Cleo");
      link.cut();
      await ben.people.until(shows({}), "nobody");
    },
  },
];
