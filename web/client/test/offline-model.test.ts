/**
 * Any schedule of edits, lost networks, reloads, crashes and tabs: everybody ends with what the server has, each write took effect at
 * most once, none was lost, and no component ever saw an own edit vanish and come back.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createWorld, type Opened } from "./offline-world";

const RECORDS = ["r1", "r2", "r3"];
const TABS = 3;

type Step = readonly [kind: string, tab: number, pick: number];

const often = (weights: Record<string, number>) =>
  fc.oneof(...Object.entries(weights).map(([kind, weight]) => ({ weight, arbitrary: fc.constant(kind) })));

const step: fc.Arbitrary<Step> = fc.tuple(
  often({
    ...{ add: 4, type: 6, vote: 4, delete: 2, restore: 2 },
    ...{ reload: 4, crash: 3, crashAt: 5, close: 1, offline: 3, online: 4, drop: 2, freeze: 1, thaw: 2, time: 8, turn: 8 },
  }),
  fc.nat(TABS - 1),
  fc.nat(8),
);

/** A person with some tabs, who remembers what was written in them. */
class Person {
  readonly #world = createWorld();
  readonly #tabs: (Opened | undefined)[] = [];
  /** Mutation ids of writes that were certainly kept, or certainly sent. */
  readonly #promised = new Set<string>();
  /** What was made and not seen to be kept. */
  #recent: { readonly opened: Opened; readonly id: string }[] = [];
  #count = 0;

  async take([kind, at, pick]: Step): Promise<void> {
    const world = this.#world;
    const opened = this.#tabs[at];
    const record = RECORDS[pick % 3] ?? "";
    const content = `${kind}-${++this.#count}`;
    const isAlive = opened !== undefined && !opened.tab.isDead;
    switch (kind) {
      case "add":
        return this.#write(opened, (notes) => notes.add({ id: record, content }));
      case "type":
        return this.#write(opened, (notes) => notes.patch(record, { content }));
      case "vote":
        return this.#write(opened, (notes) => notes.patch(record, { votes: { increment: 1 } }));
      case "delete":
        return this.#write(opened, (notes) => notes.delete(record));
      case "restore":
        return this.#write(opened, (notes) => notes.restore(record, { content }));
      case "reload":
      case "crash":
        opened?.tab.kill();
        this.#tabs[at] = kind === "reload" || !isAlive ? world.open() : undefined;
        return;
      case "crashAt":
        opened?.tab.dieAt(1 + pick);
        return;
      case "close":
        opened?.client.close();
        opened?.tab.kill();
        this.#tabs[at] = undefined;
        return;
      case "freeze":
      case "thaw":
        opened?.tab.freeze(kind === "freeze");
        return;
      case "offline":
      case "online":
        world.isOffline(kind === "offline");
        return;
      case "drop":
        world.server.kill();
        return;
      case "time":
        await world.pass(pick * 400);
        return;
      case "turn":
        await world.platform.advance(pick);
        return this.#kept();
    }
  }

  /** The network is back, and one tab is there. */
  async end(): Promise<void> {
    const world = this.#world;
    for (const opened of this.#tabs) {
      opened?.tab.freeze(false);
      opened?.tab.kill();
    }
    world.isOffline(false);
    const last = world.open();
    await world.pass(60_000);
    expect(last.pending(), "nothing is pending").toBe(0);
    const truth = world.room.records("notes").filter(({ deleted }) => deleted === undefined);
    const shown = last.snapshot().records.map(({ id, content, votes }) => ({ id, content, votes }));
    expect(shown, "[R5] the last tab shows what the server has").toEqual(
      truth.map(({ id, fields, counters }) => ({ id, content: fields.content, votes: counters?.votes })),
    );
    for (const id of world.room.appliedIds) expect(world.room.timesApplied(id), "[R4] once").toBe(1);
    const heard = new Set(world.sent().map(({ payload }) => (payload as { id: string }).id));
    for (const id of this.#promised) expect(heard.has(id), `[R4] ${id} was kept, and was sent`).toBe(true);
    last.client.close();
    expect(world.platform.errors).toEqual([]);
  }

  #write(opened: Opened | undefined, act: (notes: Opened["notes"]) => { id: string }): void {
    if (opened === undefined || opened.tab.isDead || opened.tab.isFrozen) return;
    this.#recent.push({ opened, id: act(opened.notes).id });
  }

  /** A tab that lived until its database was quiet has kept what was written. */
  async #kept(): Promise<void> {
    await this.#world.pass();
    for (const { opened, id } of this.#recent) if (!opened.tab.isDead && !opened.tab.isFrozen) this.#promised.add(id);
    this.#recent = this.#recent.filter(({ opened }) => !opened.tab.isDead);
  }
}

describe("Offline model", () => {
  it("[R4 R5] [trap 31] [trap 33] whatever happens to network, tabs and database, nothing is lost or doubled", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40, size: "max" }), async (steps) => {
        const person = new Person();
        await person.take(["reload", 0, 0]);
        for (const each of steps) await person.take(each);
        await person.end();
      }),
      { numRuns: Number(process.env.CHORALE_RUNS ?? 60) },
    );
    expect.hasAssertions();
  }, 120_000);
});
