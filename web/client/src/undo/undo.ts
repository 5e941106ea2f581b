import { isSameJson } from "../collection/json";
import type { CollectionInside, WriteListener } from "../collection/seam";
import type { WireRecord } from "../collection/wire";
import type { Write } from "../collection/write";
import { ValueStore } from "../store";
import type { Outcome, Store, Unsubscribe } from "../types";
import { type Entry, Ledger, type Settled, type Skip } from "./ledger";
import { fullValue, isAlive, nameOf, type Plan } from "./slot";
import type { ChangedRecord, Skipped, Undo, UndoableCollection, Undone, UndoOptions, UndoState } from "./types";

interface Source {
  readonly name: string;
  readonly inside: CollectionInside;
  readonly snapshot: UndoableCollection["snapshot"];
  /** Of records in which something can be taken back or done again, or has not settled. */
  readonly ledgers: Map<string, Ledger>;
}

/** What a step has done to one record. */
interface Part {
  readonly source: Source;
  readonly record: string;
  readonly ledger: Ledger;
  readonly entry: Entry;
}

interface Step {
  parts: Part[];
  /** When it began, and when it was added to; ms. What follows soon may become a part of it. */
  readonly from: number;
  upTo: number;
}

/** How much longer than `captureMs` a step may grow: who types on for minutes wants to take back a sentence, and not all of it. */
const LONGEST = 20;

const NEVER = Number.NEGATIVE_INFINITY;

const NEITHER: UndoState = { canUndo: false, canRedo: false };

/**
 * Undo and redo of this client's writes to a collection, or to several. What others wrote is never taken back or written over: a field
 * that somebody else has written since is skipped, and so is making a record in which somebody else has written.
 *
 *     const undo = createUndo(channel.collection("tasks"));
 *     if (undo.undo()?.skipped.length) say("Somebody else has changed that since.");
 *
 * It hears every write of this client to these collections from now on, whoever makes it. Steps live in memory: after a reload there are
 * none. Taking back is a write, so it waits while offline, survives a reload with a storage, and may be refused.
 */
export function createUndo(collections: UndoableCollection | readonly UndoableCollection[], options: UndoOptions = {}): Undo {
  return new Steps([collections].flat(), options);
}

class Steps implements Undo {
  readonly #limit: number;
  readonly #captureMs: number;
  readonly #sources: readonly Source[];
  readonly #stops: readonly Unsubscribe[];
  readonly #state: ValueStore<UndoState>;
  readonly #done: Step[] = [];
  readonly #undone: Step[] = [];
  /** What a group adds to, while it runs. */
  #group: Step | undefined;
  #isTracking = true;
  /** Undo itself writes, and has not noted it yet. */
  #isWriting = false;

  constructor(collections: readonly UndoableCollection[], { limit = 100, captureMs = 500 }: UndoOptions) {
    this.#limit = limit;
    this.#captureMs = captureMs;
    this.#sources = collections.map(sourceOf);
    this.#state = new ValueStore(NEITHER, (error) => this.#sources[0]?.inside.reportError(error));
    this.#stops = this.#sources.flatMap((source) => [
      source.inside.onWrite((...heard) => this.#hear(source, ...heard)),
      source.snapshot.subscribe(() => this.#correct()), // a record may be there again
    ]);
  }

  get state(): Store<UndoState> {
    return this.#state;
  }

  readonly undo = (): Undone | undefined => this.#move(this.#done, this.#undone);

  readonly redo = (): Undone | undefined => this.#move(this.#undone, this.#done);

  readonly group = <R>(act: () => R): R => {
    if (this.#group) return act(); // an inner group is a part of the outer one
    this.#group = stepOf([]);
    try {
      return act();
    } finally {
      const step = this.#group;
      this.#group = undefined;
      if (step.parts.length > 0) this.#add(step);
    }
  };

  readonly untracked = <R>(act: () => R): R => {
    const before = this.#isTracking;
    this.#isTracking = false;
    try {
      return act();
    } finally {
      this.#isTracking = before;
    }
  };

  readonly clear = (): void => {
    forget(this.#done.splice(0));
    forget(this.#undone.splice(0));
    this.#tidy();
  };

  readonly close = (): void => {
    for (const stop of this.#stops) stop();
    this.clear();
    for (const { ledgers } of this.#sources) ledgers.clear();
  };

  #hear(source: Source, ...[id, write, before, outcome]: Parameters<WriteListener>): void {
    const { inside, ledgers } = source;
    const { record, isQuiet } = write;
    if (outcome !== undefined) this.#settle(source, record, { id, outcome, write, before });
    else if (this.#isTracking && !isQuiet) this.#take(source, id, write, before);
    else if (!isQuiet || !this.#isWriting) ledgers.get(record)?.wrote(id, write, before, inside.recordOf(record), undefined);
    this.#correct();
    this.#tidy();
  }

  /** Takes a write: into the group, into the newest step where it goes on with that, or as a step of its own. */
  #take(source: Source, id: string, write: Write, before: WireRecord | undefined): void {
    const { record, time } = write;
    const after = source.inside.recordOf(record);
    const ledger = source.ledgers.get(record) ?? new Ledger(source.inside);
    source.ledgers.set(record, ledger);
    const newest = this.#done.at(-1);
    const isSoon = newest && Math.abs(time - newest.upTo) < this.#captureMs && time - newest.from < LONGEST * this.#captureMs;
    const step = this.#group ?? (isSoon ? newest : undefined);
    const last = step?.parts.at(-1);
    const goesOn = last?.ledger === ledger && isAlive(before) && isAlive(after) && last.entry.life?.isNew !== false;
    const part = goesOn ? last : { source, record, ledger, entry: ledger.entry() };
    ledger.wrote(id, write, before, after, part.entry);
    if (!ledger.has(part.entry)) return; // it changes nothing
    if (step && goesOn) step.upTo = time;
    else if (this.#group) this.#group.parts.push(part);
    else this.#add(stepOf([part], time));
  }

  #add(step: Step): void {
    this.#done.push(step);
    forget(this.#done.splice(0, this.#done.length - this.#limit));
    forget(this.#undone.splice(0));
  }

  /** Takes the newest step back, or does it again; then it is the other list's newest. */
  #move(from: Step[], to: Step[]): Undone | undefined {
    const step = from.pop();
    if (step === undefined) return undefined;
    const parts = [...step.parts].reverse();
    const turned = parts.map((part) => this.#turn(part));
    to.push(stepOf(parts));
    for (const done of this.#done) done.upTo = NEVER; // what follows is a step of its own
    this.#correct();
    this.#tidy();
    const skipped = distinct(turned.flatMap((one) => one.skipped));
    return {
      changed: distinct(turned.flatMap(({ changed }) => changed)),
      skipped,
      settled: Promise.all(turned.flatMap(({ late }) => late)).then((late) => distinct([...skipped, ...late.flat()])),
    };
  }

  #turn({ source, record, ledger, entry }: Part) {
    const about = { collection: source.name, recordId: record };
    const isPending = (source.snapshot.getSnapshot().status.get(record)?.pending ?? 0) > 0;
    const { plans, skipped } = ledger.turn(entry, source.inside.recordOf(record), isPending);
    const late = plans.map(async (plan) => {
      const outcome = await this.#write(source, record, plan, entry);
      const left = entry.isOvertaken ? [{ reason: "changed" } as const] : skipsOf(plan, outcome);
      return left.map((skip): Skipped => ({ ...about, ...skip, outcome }));
    });
    return {
      changed: plans.slice(0, 1).map(({ op }): ChangedRecord => ({ ...about, op })),
      skipped: skipped.map((skip): Skipped => ({ ...about, ...skip })),
      late,
    };
  }

  /** Writes what a turn wants, or a correction. */
  async #write(source: Source, record: string, plan: Plan, entry?: Entry): Promise<Outcome> {
    const { inside, ledgers } = source;
    const { op, values: _values, counters: _counters, ...terms } = plan;
    this.#isWriting = true;
    const { id, settled } = inside.write(op, record, fullValue(plan, inside.recordOf(record)), { ...terms, isQuiet: true });
    this.#isWriting = false;
    ledgers.get(record)?.sent(id, plan, entry);
    const outcome = await settled;
    this.#settle(source, record, { id, outcome }); // what was not even sent is not heard of
    this.#tidy();
    return outcome;
  }

  #settle(source: Source, record: string, end: Omit<Settled, "now">): void {
    const plans = source.ledgers.get(record)?.settled({ ...end, now: source.inside.recordOf(record) }) ?? [];
    for (const plan of plans) this.#write(source, record, plan);
  }

  /** Writes what records should hold, and do not: what was written before was a guess. */
  #correct(): void {
    if (this.#isWriting) return;
    for (const source of this.#sources) {
      for (const [record, ledger] of source.ledgers) {
        for (const plan of ledger.due(source.inside.recordOf(record))) this.#write(source, record, plan);
      }
    }
  }

  /** Forgets what nothing is left of, and tells whether there is something. */
  #tidy(): void {
    for (const steps of [this.#done, this.#undone]) {
      for (const step of steps) {
        for (const { ledger, entry } of step.parts) entry.isOut = !ledger.has(entry);
        step.parts = step.parts.filter(({ entry }) => !entry.isOut);
      }
      steps.splice(0, steps.length, ...steps.filter(({ parts }) => parts.length > 0));
    }
    for (const { ledgers } of this.#sources) {
      for (const [record, ledger] of ledgers) {
        ledger.tidy();
        if (ledger.isIdle) ledgers.delete(record);
      }
    }
    const state = { canUndo: this.#done.length > 0, canRedo: this.#undone.length > 0 };
    if (!isSameJson(state, this.#state.getSnapshot())) this.#state.set(state);
  }
}

/** What the server has left as it was. */
function skipsOf({ values }: Plan, outcome: Outcome): readonly Skip[] {
  const { status } = outcome;
  const all = [...new Set([...(values?.keys() ?? [])].map(nameOf))];
  const isTaken = status === "applied";
  const lost = isTaken ? (outcome.lost ?? []) : all;
  if (status === "noop" || status === "unknown") return [];
  const isRefused = status === "rejected" && outcome.code !== "version_conflict";
  const reason = isRefused ? "refused" : status === "gone" ? "deleted" : "changed";
  return isTaken || lost.length > 0 ? lost.map((name) => ({ name, reason })) : [{ reason }];
}

/** One record may have been written several times in a step. */
function distinct<T extends ChangedRecord | Skipped>(all: readonly T[]): T[] {
  const keyOf = ({ outcome: _, ...rest }: T & { outcome?: unknown }) => JSON.stringify(rest);
  return [...new Map(all.map((one) => [keyOf(one), one])).values()];
}

/** What these steps have done stays as it is. */
function forget(steps: readonly Step[]): void {
  for (const { parts } of steps) for (const { entry } of parts) entry.isOut = true;
}

function stepOf(parts: Part[], time = NEVER): Step {
  return { parts, from: time, upTo: time };
}

function sourceOf({ name, snapshot, inside }: UndoableCollection): Source {
  if (inside === undefined) throw new Error(`collection ${name}: its writes cannot be heard`);
  return { name, inside, snapshot, ledgers: new Map() };
}
