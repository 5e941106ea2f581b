/**
 * Any schedule of tabs that open, close, crash, freeze and wake, of networks that break and of servers that restart: everybody ends
 * with what the server has, over one socket, each write took effect once and each message was heard once, and nobody's locks or lanes are
 * left behind.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createTabs, type OpenedTab } from "./tabs-world";

const TABS = 4;

type Step = readonly [kind: string, tab: number, pick: number];

const often = (weights: Record<string, number>) =>
  fc.oneof(...Object.entries(weights).map(([kind, weight]) => ({ weight, arbitrary: fc.constant(kind) })));

const step: fc.Arbitrary<Step> = fc.tuple(
  often({
    ...{ open: 16, write: 16, say: 10, time: 30, long: 3 },
    ...{ close: 4, crash: 8, freeze: 5, thaw: 10, reconnect: 3 },
    ...{ drop: 2, restart: 1, offline: 2, online: 8, hole: 2, mend: 8 },
  }),
  fc.nat(TABS - 1),
  fc.nat(8),
);

class Person {
  readonly #world = createTabs();
  readonly #tabs: (OpenedTab | undefined)[] = [];
  readonly #gone: OpenedTab[] = [];
  #count = 0;

  async take([kind, at, pick]: Step): Promise<void> {
    const { open, pass, server } = this.#world;
    const opened = this.#tabs[at];
    const isAwake = opened !== undefined && !opened.tab.isFrozen;
    switch (kind) {
      case "open":
        this.#tabs[at] ??= open({ sub: `user-${at % 2}` });
        return;
      case "write":
        if (isAwake) opened.notes.add({ id: `n${++this.#count}`, content: `of tab ${at}` });
        return;
      case "say":
        if (isAwake) opened.channel.publish("said", ++this.#count).catch(() => {}); // its tab may go first
        return;
      case "close":
        if (!isAwake) return;
        opened.client.close();
        return this.#forget(at);
      case "crash":
        opened?.tab.kill();
        return this.#forget(at);
      case "freeze":
      case "thaw":
        opened?.tab.freeze(kind === "freeze");
        return;
      case "reconnect":
        if (isAwake) opened.client.reconnect();
        return;
      case "drop":
        server.kill();
        return;
      case "restart":
        server.restart();
        return;
      case "offline":
      case "online":
        server.unreachable(kind === "offline");
        if (kind === "offline") server.kill();
        return;
      case "hole":
      case "mend":
        server.blackHole(kind === "hole");
        return;
      case "time":
        return pass(pick * 150);
      case "long":
        return pass(10_000);
    }
  }

  #forget(at: number): void {
    const opened = this.#tabs[at];
    if (opened) this.#gone.push(opened);
    this.#tabs[at] = undefined;
  }

  /** The network is back, and nobody is frozen. */
  async end(): Promise<void> {
    const { open, pass, server, room, platform } = this.#world;
    server.unreachable(false);
    server.blackHole(false);
    for (const opened of this.#tabs) opened?.tab.freeze(false);
    const last = open();
    await pass(60_000);
    const alive = [...this.#tabs, last].filter((tab) => tab !== undefined);
    expect(room.memberCount, "whoever is gone has no lane").toBe(alive.length);
    server.kill(); // who took the lead from somebody slow kept a socket of its own until now
    await pass(60_000);
    expect([server.sockets, room.memberCount], "one socket, and a lane for each").toEqual([1, alive.length]);
    const truth = room.records("notes").map(({ fields }) => fields.content);
    for (const tab of alive) {
      expect([tab.status(), tab.pending()]).toEqual(["connected", 0]);
      expect([...tab.contents()].sort(), "[R5] each tab shows what the server has").toEqual([...truth].sort());
      expect(new Set(tab.heard).size, "[R3] no message was heard twice").toBe(tab.heard.length);
    }
    for (const id of room.appliedIds) expect(room.timesApplied(id), "[R4] once").toBe(1);
    for (const tab of alive) tab.client.close();
    await pass(1_000);
    expect([server.sockets, room.memberCount, platform.errors]).toEqual([0, 0, []]);
  }
}

describe("Tabs that share a socket", () => {
  it("[R3] [R4] [R5] whatever happens to tabs and network, nothing is lost or doubled", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40, size: "max" }), async (steps) => {
        const person = new Person();
        for (const one of steps) await person.take(one);
        await person.end();
      }),
      { numRuns: Number(process.env.CHORALE_RUNS ?? 40) },
    );
    expect.hasAssertions();
  }, 120_000);
});
