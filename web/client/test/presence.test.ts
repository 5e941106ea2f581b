import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { PresenceState } from "../src/presence";
import { createFakePlatform } from "../src/testing/platform";
import type { Json } from "../src/types";

type Meta = { phx_ref: string; phx_ref_prev?: string; [name: string]: Json | undefined };
type Entries = Record<string, { metas: Meta[] }>;

const entry = (...metas: Meta[]) => ({ metas });

function setUp() {
  const platform = createFakePlatform();
  const sent: string[] = [];
  let isJoined = true;
  const send = (what: string) => {
    if (isJoined) sent.push(what);
    return isJoined;
  };
  const presence = new PresenceState({
    key: () => "me",
    track: send,
    untrack: () => send("untrack"),
    platform,
    report: platform.reportError,
  });
  return {
    platform,
    presence,
    sent,
    join: (state: Entries = {}) => {
      isJoined = true;
      presence.onJoined();
      presence.onState(state);
    },
    down: () => {
      isJoined = false;
      presence.onDown();
    },
    keys: () => presence.members.getSnapshot().map((member) => member.key),
    states: () => presence.members.getSnapshot().map((member) => member.state),
  };
}

describe("who is there", () => {
  it("members are ordered by key, show their newest state, and one of them is self", () => {
    const { presence, join } = setUp();
    join({
      me: entry({ phx_ref: "1", at: 1 }, { phx_ref: "2", at: 2 }),
      ben: entry({ phx_ref: "3", phx_ref_prev: "0", at: 3 }),
    });
    expect(presence.members.getSnapshot()).toEqual([
      { key: "ben", state: { at: 3 }, states: [{ at: 3 }], isSelf: false },
      { key: "me", state: { at: 2 }, states: [{ at: 1 }, { at: 2 }], isSelf: true },
    ]);
  });

  it("[P1] a leave takes the one track whose ref it names", () => {
    const { presence, join, states } = setUp();
    join({ ben: entry({ phx_ref: "1", at: 1 }, { phx_ref: "2", at: 2 }) });
    presence.onDiff({ joins: {}, leaves: { ben: entry({ phx_ref: "2", at: 2 }) } });
    expect(states()).toEqual([{ at: 1 }]);
    presence.onDiff({ joins: {}, leaves: { ben: entry({ phx_ref: "unknown" }) } });
    expect(states()).toEqual([{ at: 1 }]);
    presence.onDiff({ joins: {}, leaves: { ben: entry({ phx_ref: "1" }) } });
    expect(states()).toEqual([]);
  });

  it("[P2] a changed track is one member with the new state, no ghost and no double", () => {
    const { presence, join } = setUp();
    join({ ben: entry({ phx_ref: "1", at: 1 }) });
    presence.onDiff({
      joins: { ben: entry({ phx_ref: "2", phx_ref_prev: "1", at: 2 }) },
      leaves: { ben: entry({ phx_ref: "1", at: 1 }) },
    });
    expect(presence.members.getSnapshot()).toEqual([{ key: "ben", state: { at: 2 }, states: [{ at: 2 }], isSelf: false }]);
    presence.onDiff({ joins: { ben: entry({ phx_ref: "3", phx_ref_prev: "2", at: 3 }) }, leaves: {} });
    expect(presence.members.getSnapshot()).toEqual([{ key: "ben", state: { at: 3 }, states: [{ at: 3 }], isSelf: false }]);
  });

  it("somebody who came and went within one diff is not there", () => {
    const { presence, join, keys } = setUp();
    join();
    const ben = { ben: entry({ phx_ref: "1" }) };
    presence.onDiff({ joins: ben, leaves: ben });
    expect(keys()).toEqual([]);
  });

  it("a diff that overtakes the state of its join waits for it", () => {
    const { presence, keys } = setUp();
    presence.onJoined();
    presence.onDiff({ joins: { cleo: entry({ phx_ref: "2" }) }, leaves: { ben: entry({ phx_ref: "1" }) } });
    expect(keys()).toEqual([]);
    presence.onState({ ben: entry({ phx_ref: "1" }), ada: entry({ phx_ref: "0" }), cleo: entry({ phx_ref: "2" }) });
    expect(keys()).toEqual(["ada", "cleo"]);
    expect(presence.members.getSnapshot().find((member) => member.key === "cleo")?.states.length).toBe(1);
  });

  it("members stay shown while the connection is away, and the next state says who is left", () => {
    const { join, down, keys } = setUp();
    join({ ada: entry({ phx_ref: "1" }), ben: entry({ phx_ref: "2" }) });
    down();
    expect(keys()).toEqual(["ada", "ben"]);
    join({ ben: entry({ phx_ref: "2" }), cleo: entry({ phx_ref: "3" }) });
    expect(keys()).toEqual(["ben", "cleo"]);
  });

  it("who says the same as before is the same object, and so is the list when nobody changed", () => {
    const { presence, join } = setUp();
    join({ ada: entry({ phx_ref: "1", name: "Ada", at: [1] }), ben: entry({ phx_ref: "2", at: 1 }) });
    const before = presence.members.getSnapshot();
    let told = 0;
    presence.members.subscribe(() => told++);
    join({ ada: entry({ phx_ref: "9", at: [1], name: "Ada" }), ben: entry({ phx_ref: "2", at: 1 }) });
    expect(presence.members.getSnapshot()).toBe(before);
    expect(told).toBe(0);
    presence.onDiff({ joins: { ben: entry({ phx_ref: "3", phx_ref_prev: "2", at: 2 }) }, leaves: {} });
    expect(presence.members.getSnapshot()[0]).toBe(before[0]);
    expect(presence.members.getSnapshot()[1]).not.toBe(before[1]);
    expect(told).toBe(1);
  });

  it("keys such as __proto__ are keys", () => {
    const { presence, keys } = setUp();
    presence.onJoined();
    presence.onState(
      JSON.parse('{"__proto__":{"metas":[{"phx_ref":"1","__proto__":{"x":1}}]},"constructor":{"metas":[{"phx_ref":"2"}]}}'),
    );
    expect(keys()).toEqual(["__proto__", "constructor"]);
  });

  it("after any tracks, changes, leaves and reconnects everybody sees who is there", () => {
    const step = fc.record({
      do: fc.constantFrom("track", "track", "track", "leave", "rejoin"),
      who: fc.constantFrom("ada", "ben"),
      socket: fc.nat(1),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 50 }), (steps) => {
        const { presence, join } = setUp();
        const there = new Map<string, { key: string; meta: Meta }>();
        const stateNow = () => {
          const state: Entries = {};
          for (const { key, meta } of there.values()) state[key] = entry(...(state[key]?.metas ?? []), meta);
          return state;
        };
        join();
        let ref = 0;
        for (const { do: act, who, socket } of steps) {
          const holder = `${who}/${socket}`;
          const old = there.get(holder);
          const leaves = old ? { [who]: entry(old.meta) } : {};
          if (act === "rejoin") join(stateNow());
          if (act === "leave" && there.delete(holder)) presence.onDiff({ joins: {}, leaves });
          if (act === "track") {
            const meta = { phx_ref: `${++ref}`, at: ref, ...(old && { phx_ref_prev: old.meta.phx_ref }) };
            there.set(holder, { key: who, meta });
            presence.onDiff({ joins: { [who]: entry(meta) }, leaves });
          }
          const shown = presence.members
            .getSnapshot()
            .flatMap(({ key, states }) => states.map((state) => `${key} ${state.at}`));
          expect(shown.sort()).toEqual([...there.values()].map(({ key, meta }) => `${key} ${meta.at}`).sort());
        }
      }),
    );
  });
});

describe("what this client says", () => {
  it("the first word goes out at once, later ones at most every 100 ms, the newest wins", async () => {
    const { presence, platform, sent } = setUp();
    for (let x = 0; x < 5; x++) presence.set({ x });
    expect(sent).toEqual(['{"x":0}']);
    await platform.advance(100);
    expect(sent).toEqual(['{"x":0}', '{"x":4}']);
    for (let ms = 0; ms < 1_000; ms++) {
      presence.update({ y: ms });
      await platform.advance(1);
    }
    expect(sent.length).toBe(2 + 10);
    expect(sent.at(-1)).toBe('{"x":4,"y":999}');
  });

  it("says nothing twice, and set, clear, set of a component that mounts twice is one track", async () => {
    const { presence, platform, sent } = setUp();
    presence.set({ name: "Ada" });
    presence.clear();
    presence.set({ name: "Ada" });
    await platform.advance(1_000);
    expect(sent).toEqual(['{"name":"Ada"}']);
    presence.clear();
    presence.clear();
    await platform.advance(1_000);
    expect(sent).toEqual(['{"name":"Ada"}', "untrack"]);
    expect(platform.timers).toBe(0);
  });

  it("what was said is said again after each join, also what was set while away", async () => {
    const { presence, platform, sent, join, down } = setUp();
    presence.set({ name: "Ada" });
    down();
    presence.update({ cursor: 3 });
    expect(sent.length).toBe(1);
    join();
    expect(sent).toEqual(['{"name":"Ada"}', '{"name":"Ada","cursor":3}']);
    down();
    presence.clear();
    join();
    await platform.advance(1_000);
    expect(sent.length).toBe(2);
    expect(presence.wanted).toBe(false);
  });

  it("an object that the app changes later was said as it was", async () => {
    const { presence, platform, sent } = setUp();
    presence.set({ a: 1 });
    const state = { a: 2 };
    presence.set(state);
    state.a = 3;
    await platform.advance(100);
    expect(sent).toEqual(['{"a":1}', '{"a":2}']);
  });

  it("more than the server takes is refused at once, and what was said stays", () => {
    const { presence, sent, join, down } = setUp();
    presence.set({ a: 1 });
    expect(() => presence.set({ text: "ä".repeat(9_000) })).toThrow("16 KiB");
    down();
    join();
    expect(sent).toEqual(['{"a":1}', '{"a":1}']);
  });
});
