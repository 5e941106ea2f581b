import { isSameJson } from "../collection/json";
import type { CollectionInside, WireRecord, WriteListener } from "../collection/seam";
import type { Write } from "../collection/write";
import { ValueStore } from "../store";
import type { Json, Mutation, Outcome, Store, Unsubscribe } from "../types";
import {
  counted,
  fullValue,
  invert,
  isTheirs,
  isTouchedByOthers,
  isWrittenByOthers,
  lookUp,
  merge,
  nameOf,
  type Part,
  type Plan,
  partOf,
  putBack,
  reversed,
  type Slot,
  type Turn,
  withEnd,
  withGuess,
  without,
  writtenBy,
} from "./part";
import type { ChangedRecord, Skipped, Undo, UndoableCollection, Undone, UndoOptions, UndoState } from "./types";

interface Source {
  readonly name: string;
  readonly inside: CollectionInside;
  readonly snapshot: UndoableCollection["snapshot"];
  isPending(record: string): boolean;
}

/** One record's part of a step. */
interface Entry {
  readonly source: Source;
  /** Undefined when nothing is left of it. */
  part: Part | undefined;
  /** Of what takes something back: the ids of the writes that do. */
  readonly back?: string[];
  isSettled: boolean;
  /** It was taken back in its turn, because somebody else was there first. */
  isOvertaken?: boolean;
  /** What it takes back was refused. */
  isVoid?: boolean;
}

/** What is to come back to a record once that is there again: somebody else's value, or what was counted wrongly. */
interface Owed {
  readonly source: Source;
  readonly record: string;
  toPlan(now: WireRecord | undefined): Plan | undefined;
}

interface Step {
  entries: Entry[];
  /** When it began, and when it was added to; ms. */
  readonly from: number;
  upTo: number;
  /** What follows soon may become a part of it. */
  isOpen: boolean;
}

/** How much longer than `captureMs` a step may grow: who types on for minutes wants to take back a sentence, and not all of it. */
const LONGEST = 20;

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
  const all = Array.isArray(collections) ? (collections as readonly UndoableCollection[]) : [collections as UndoableCollection];
  return new Steps(all, options);
}

class Steps implements Undo {
  readonly #limit: number;
  readonly #captureMs: number;
  readonly #stops: readonly Unsubscribe[];
  readonly #state: ValueStore<UndoState>;
  #done: Step[] = [];
  #undone: Step[] = [];
  /** Of steps that were taken back and cannot be done again: while writes of their records have not settled. */
  #ghosts: Entry[] = [];
  #owed: Owed[] = [];
  /** What a group adds to, while it runs. */
  #group: Step | undefined;
  #isTracking = true;
  /** Of undos that have not settled: which write they take back, in the order of all. */
  readonly #ages = new Map<string, number>();
  /** A step is being taken back: it is in no list yet. */
  #isMoving = false;
  /** Writes that were heard. */
  #count = 0;

  constructor(collections: readonly UndoableCollection[], { limit = 100, captureMs = 500 }: UndoOptions) {
    this.#limit = limit;
    this.#captureMs = captureMs;
    const sources = collections.map(sourceOf);
    this.#state = new ValueStore(NEITHER, (error) => sources[0]?.inside.reportError(error));
    this.#stops = sources.flatMap((source) => [
      source.inside.onWrite((...heard) => this.#hear(source, ...heard)),
      source.snapshot.subscribe(() => this.#payBack(source)),
    ]);
  }

  get state(): Store<UndoState> {
    return this.#state;
  }

  readonly undo = (): Undone | undefined => {
    const step = this.#done.pop();
    return step && this.#move(step, (back) => this.#undone.push(back));
  };

  readonly redo = (): Undone | undefined => {
    const step = this.#undone.pop();
    return (
      step &&
      this.#move(step, (again) => {
        this.#done.push(again);
        this.#keepSkipped(step, again);
      })
    );
  };

  readonly group = <R>(act: () => R): R => {
    if (this.#group) return act(); // an inner group is a part of the outer one
    this.#group = stepOf([]);
    try {
      return act();
    } finally {
      const step = this.#group;
      this.#group = undefined;
      if (step.entries.length > 0) this.#add(step);
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
    this.#done = [];
    this.#forgetUndone();
    this.#tidy();
  };

  readonly close = (): void => {
    for (const stop of this.#stops) stop();
    this.clear();
  };

  #hear(source: Source, ...[id, write, before, outcome]: Parameters<WriteListener>): void {
    if (before) this.#share(source, before.id, (part) => isWrittenByOthers(part, before, source.inside));
    if (outcome !== undefined) {
      this.#settle(source, id, before, outcome);
      if (write.isQuiet && before !== undefined && outcome.status === "applied") {
        this.#giveBack(source, id, write, before, outcome.lost ?? []);
      }
      this.#ages.delete(id);
    } else if (this.#isTracking && !write.isQuiet) {
      const part = partOf({ id, write, nth: this.#count++ }, before, source.inside.recordOf(write.record));
      if (part) this.#take({ source, part, isSettled: false }, write.time);
    }
    this.#tidy();
  }

  /** Takes a write: into the group, into the newest step where it goes on with that, or as a step of its own. */
  #take(entry: Entry, time: number): void {
    this.#ghosts = this.#ghosts.filter(({ part, source }) => part !== undefined && source.isPending(part.record));
    const newest = this.#done.at(-1);
    if (this.#group) this.#group.entries.push(entry);
    else if (newest && this.#goesOn(newest, entry, time)) {
      newest.entries.push(entry);
      newest.upTo = time;
    } else this.#add({ ...stepOf([entry], time), isOpen: true });
  }

  #goesOn(step: Step, { source, part }: Entry, time: number): boolean {
    const last = step.entries.at(-1);
    if (!step.isOpen || last?.source !== source || !last.part || !part) return false;
    const isSoon = Math.abs(time - step.upTo) < this.#captureMs && time - step.from < LONGEST * this.#captureMs;
    return isSoon && merge(last.part, part) !== undefined;
  }

  #add(step: Step): void {
    this.#end();
    this.#done = [...this.#done, step].slice(-this.#limit);
    this.#forgetUndone();
  }

  /** What follows is a step of its own. */
  #end(): void {
    for (const step of this.#done) step.isOpen = false;
  }

  /** What was taken back stays so, but it may come to be known what it was that should have come back. */
  #forgetUndone(): void {
    this.#ghosts.push(...entriesOf(this.#undone));
    this.#undone = [];
  }

  /** What was not done again stays taken back, which what it replaced may still correct. */
  #keepSkipped(step: Step, again: Step): void {
    const all = again.entries.map(({ part }) => part);
    for (const entry of step.entries) {
      const left = without(entry.part, (slot) => all.some((part) => part?.nth === entry.part?.nth && part?.turns.has(slot)));
      if (left?.turns.size) this.#ghosts.push({ ...entry, part: { ...left, counters: {} } });
    }
  }

  /** Takes a step back, and keeps how to take that back. */
  #move(step: Step, keep: (back: Step) => void): Undone {
    this.#end();
    this.#isMoving = true;
    const entries: Entry[] = [];
    const results: Undone[] = [];
    for (const { source, part } of [...step.entries].reverse()) {
      if (part === undefined) continue;
      const entry: Entry = { source, part: undefined, back: [], isSettled: false };
      results.push(this.#takeBack(part, entry));
      entries.push(entry);
    }
    keep(stepOf(entries));
    this.#isMoving = false;
    for (const { source } of entries) this.#payBack(source);
    this.#tidy();
    return {
      changed: distinct(results.flatMap(({ changed }) => changed)),
      skipped: distinct(results.flatMap(({ skipped }) => skipped)),
      settled: Promise.all(results.map(({ settled }) => settled)).then((all) => distinct(all.flat())),
    };
  }

  /** Takes a part back; `entry` becomes what can be taken back of that. */
  #takeBack(part: Part, entry: Entry): Undone {
    const { source } = entry;
    const about = { collection: source.name, recordId: part.record };
    const inverse = invert(part, source.inside.recordOf(part.record), source.inside, source.isPending(part.record));
    const skipped = inverse.skipped.map((skip): Skipped => ({ ...about, ...skip }));
    entry.part = inverse.part;
    const late = inverse.plans.map(async (plan) => {
      const { id, settled } = carryOut(plan, part.record, source);
      entry.back?.push(id);
      this.#ages.set(id, part.nth);
      const outcome = await settled;
      return this.#takeOutcome(entry, part.record, plan, outcome).map((skip): Skipped => ({ ...about, ...skip, outcome }));
    });
    const settled = Promise.all(late).then((all) => {
      entry.isSettled = true;
      return [...skipped, ...all.flat()];
    });
    return { changed: inverse.plans.slice(0, 1).map(({ op }): ChangedRecord => ({ ...about, op })), skipped, settled };
  }

  /** What the server has not done of a write cannot be taken back; says what that is. */
  #takeOutcome(
    entry: Entry,
    record: string,
    { op, values, counters }: Plan,
    outcome: Outcome,
  ): Pick<Skipped, "name" | "reason">[] {
    const { status } = outcome;
    if (entry.isOvertaken) return [{ reason: "changed" }];
    const names = [...new Set([...values.keys()].map(nameOf))];
    const lost = status === "applied" ? (outcome.lost ?? []) : names;
    // Somebody else has restored it first.
    if (status === "noop" && op === "restore") this.#share(entry.source, record, ({ nth }) => nth === (entry.part?.nth ?? nth));
    // What it has taken back has never been counted.
    if (entry.isVoid && status === "applied" && values.size === 0) {
      this.#pay({ source: entry.source, record, toPlan: () => ({ op, values, counters: reversed(counters) }) });
    }
    const isDone = status === "noop" || status === "unknown" || (status === "applied" && lost.length === 0);
    if (isDone) return [];
    const isGone = (slot: Slot) => values.has(slot) && lost.includes(nameOf(slot));
    const rest = without(entry.part, isGone);
    entry.part = op !== "patch" ? undefined : values.size > 0 ? rest : rest && { ...rest, counters: {} };
    this.#tidy();
    const isOvertaken = status === "rejected" ? outcome.code === "version_conflict" : status !== "gone";
    const reason = isOvertaken ? "changed" : status === "gone" ? "deleted" : "refused";
    return lost.length > 0 ? lost.map((name) => ({ name, reason })) : [{ reason }];
  }

  /** Who has restored a record, or written in it since it began here, makes it more than this client's. */
  #share(of: Source, record: string, isTrueOf: (part: Part) => boolean): void {
    for (const entry of this.#entries()) {
      const { part, source } = entry;
      if (source === of && part?.record === record && part.begun && isTrueOf(part)) entry.part = { ...part, isShared: true };
    }
  }

  #settle(source: Source, id: string, before: WireRecord | undefined, outcome: Outcome): void {
    const { status } = outcome;
    const mine = this.#entries().filter((entry) => entry.source === source && entry.part?.writes.includes(id));
    if (status === "unknown" || mine.length === 0) return;
    if (status !== "applied") {
      for (const entry of mine) this.#refuse(entry, status);
      return;
    }
    if (before) this.#rebase(mine, id, before);
    const { lost = [] } = outcome;
    for (const entry of mine) {
      entry.part = without(entry.part, (slot) => lost.includes(nameOf(slot)));
      if (entry.back === undefined) entry.isSettled = true;
    }
    for (const step of this.#done) step.entries = compact(step.entries);
  }

  /** A write that came to nothing is no step. What was merged has other writes, which may have come to something. */
  #refuse(entry: Entry, status: Outcome["status"]): void {
    const { part, source } = entry;
    if (part === undefined || part.writes.length > 1) return;
    if (part.life === "ended" && part.begun) {
      // What is being deleted here did not begin with this client.
      entry.part = { ...part, isShared: true };
      return;
    }
    entry.part = undefined;
    entry.isVoid = true;
    const done = entriesOf(this.#done);
    if (!done.includes(entry)) return;
    // Done again, it is another write, which may come to something.
    if (entry.back !== undefined && part.turns.size > 0) entry.part = { ...part, writes: [...entry.back], counters: {} };
    // What lost or changed nothing has somebody's value in its place, which the next write comes upon.
    const isVain = !entry.part && (status === "gone" || status === "rejected");
    for (const back of this.#entries()) if (isVain && !done.includes(back)) this.#revoke(back, source, part);
    for (const [slot, turn] of part.turns) if (isVain || turn.isTheirs) this.#passOn(source, part, slot, turn);
  }

  /** A value is what the next write of this client stands on. Without one, what is somebody else's is what is there. */
  #passOn(
    source: Source,
    { record, nth }: Pick<Part, "record" | "nth">,
    slot: Slot,
    { from, isTheirs = false }: Omit<Turn, "to">,
  ): void {
    const later = entriesOf(this.#done).filter((entry) => isOn(entry, source, record, slot) && nthOf(entry) > nth);
    const [next] = later.sort(byAge);
    if (next?.part) next.part = withGuess(next.part, slot, { from, isTheirs });
    else if (isTheirs) this.#owe(source, record, slot, from);
  }

  /** What was taken back to a value that has never been in the log goes back to what was before that. */
  #revoke(back: Entry, source: Source, { record, nth, turns }: Part): void {
    for (const [slot, { from, to }] of turns) {
      const { part } = back;
      if (part === undefined || part.nth < nth || !isOn(back, source, record, slot)) continue;
      if (!isSameJson(part.turns.get(slot)?.to, to)) continue;
      back.part = withEnd(part, slot, { to: from });
      this.#owe(source, record, slot, from);
    }
  }

  /** A write is in the log, upon a record that may be another than the one that was shown when it was made. */
  #rebase(mine: readonly Entry[], id: string, before: WireRecord): void {
    for (const slot of new Set(mine.flatMap(({ part }) => [...(part?.turns.keys() ?? [])]))) {
      // Of the writes that became one, the oldest stands on what was there.
      const [first] = mine.filter(({ part }) => part?.turns.has(slot)).sort(byAge);
      if (first?.part) this.#rebaseSlot(first, first.part, id, slot, before);
    }
  }

  #rebaseSlot(first: Entry, part: Part, id: string, slot: Slot, before: WireRecord): void {
    const { source } = first;
    const { value, stamp } = lookUp(before, slot);
    const isOthers = isTheirs(stamp, source.inside);
    // Else it stands on another write of the same part, or on what was taken back before both became one, or better is known already.
    const isFirst = part.writes[0] === id && !this.#entries().some(({ back }) => back?.includes(id));
    if (!isOthers && (!isFirst || part.turns.get(slot)?.isTheirs)) return;
    if (isOthers) this.#forgetOlder(source, part, slot);
    const isDone = entriesOf(this.#done).includes(first);
    if (isDone || isOthers) first.part = withEnd(part, slot, { [isDone ? "from" : "to"]: value, isTheirs: isOthers });
    // It was taken back already, to what was known then.
    if (!isDone && isOthers) this.#passOn(source, part, slot, { from: value, isTheirs: true });
  }

  /** Whatever this client wrote earlier, somebody else has written over it. */
  #forgetOlder(source: Source, { record, nth }: Pick<Part, "record" | "nth">, slot: Slot): void {
    for (const entry of this.#entries()) {
      if (isOn(entry, source, record, slot) && nthOf(entry) < nth) entry.part = without(entry.part, (other) => other === slot);
    }
  }

  /** An undo is in the log. Did it take something from others that this client had not seen? */
  #giveBack(source: Source, id: string, write: Write, before: WireRecord, lost: readonly string[]): void {
    const entry = this.#entries().find(({ back }) => back?.includes(id));
    const about = { record: write.record, nth: this.#ages.get(id) ?? this.#count };
    for (const [slot] of writtenBy(write)) {
      const { value, stamp } = lookUp(before, slot);
      if (!isTheirs(stamp, source.inside) || lost.includes(nameOf(slot))) continue;
      this.#forgetOlder(source, about, slot);
      // Of two writes with one time this may have been the later, though what it takes back was refused.
      this.#passOn(source, about, slot, { from: value, isTheirs: true });
      if (entry) entry.part = without(entry.part, (other) => other === slot);
    }
    if (write.op !== "delete" || entry?.part?.life !== "ended") return;
    const { begun, isShared } = entry.part;
    if (!isShared && before.updatedBy === begun?.updatedBy && !isTouchedByOthers(entry.part, before, source.inside)) return;
    const { plans } = invert(entry.part, source.inside.recordOf(write.record), source.inside, true);
    for (const plan of plans) carryOut(plan, write.record, source);
    entry.part = undefined;
    entry.isOvertaken = true;
  }

  #owe(source: Source, record: string, slot: Slot, value: Json | undefined): void {
    if (value !== undefined) this.#pay({ source, record, toPlan: (now) => putBack(slot, value, now, source.inside) });
  }

  #pay(owed: Owed): void {
    const { source, record, toPlan } = owed;
    const now = source.inside.recordOf(record);
    // A deleted record takes nothing; it may be restored.
    if (now?.deleted !== undefined) this.#owed = [...this.#owed, owed].slice(-this.#limit);
    else {
      const plan = toPlan(now);
      if (!plan) return;
      // It is this client that counts here, and nobody else.
      for (const entry of this.#entries()) {
        const { part } = entry;
        if (entry.source === source && part?.record === record && part.begun) entry.part = counted(part, plan.counters);
      }
      carryOut(plan, record, source).settled.then(({ status }) => {
        if (status === "gone") this.#pay(owed); // deleted meanwhile
      });
    }
  }

  /** Whoever has restored a record gets what is owed to it. */
  #payBack(source: Source): void {
    if (this.#isMoving) return;
    const isDue = (owed: Owed) => owed.source === source && source.inside.recordOf(owed.record)?.deleted === undefined;
    const due = this.#owed.filter(isDue);
    this.#owed = this.#owed.filter((owed) => !isDue(owed));
    for (const owed of due) this.#pay(owed);
  }

  #entries(): Entry[] {
    return [...entriesOf([this.#done, this.#group ?? [], this.#undone].flat()), ...this.#ghosts];
  }

  /** Forgets what nothing is left of, and tells whether there is something. */
  #tidy(): void {
    const rest = (steps: Step[]) => {
      for (const step of steps) step.entries = step.entries.filter((entry) => entry.part !== undefined);
      return steps.filter(({ entries }) => entries.length > 0);
    };
    this.#done = rest(this.#done);
    this.#undone = rest(this.#undone);
    const [canUndo, canRedo] = [this.#done.length > 0, this.#undone.length > 0];
    const before = this.#state.getSnapshot();
    if (canUndo !== before.canUndo || canRedo !== before.canRedo) this.#state.set({ canUndo, canRedo });
  }
}

/** Entries with those made one that follow each other, have settled and may. */
function compact(entries: readonly Entry[]): Entry[] {
  const out: Entry[] = [];
  for (const entry of entries) {
    const last = out.at(-1);
    const isNext = last?.source === entry.source && last.isSettled && entry.isSettled;
    const part = isNext && last.part && entry.part && merge(last.part, entry.part);
    if (part) out[out.length - 1] = { ...entry, part };
    else out.push(entry);
  }
  return out;
}

/** One record may have been written several times in a step. */
function distinct<T extends ChangedRecord | Skipped>(all: readonly T[]): T[] {
  const keyOf = ({ outcome: _, ...rest }: T & { outcome?: unknown }) => JSON.stringify(rest);
  return [...new Map(all.map((one) => [keyOf(one), one])).values()];
}

function isOn({ source, part }: Entry, of: Source, record: string, slot: Slot): boolean {
  return source === of && part?.record === record && part.turns.has(slot);
}

function nthOf({ part }: Entry): number {
  return part?.nth ?? 0;
}

function byAge(a: Entry, b: Entry): number {
  return nthOf(a) - nthOf(b);
}

function stepOf(entries: Entry[], time = 0): Step {
  return { entries, from: time, upTo: time, isOpen: false };
}

function entriesOf(steps: readonly Step[]): Entry[] {
  return steps.flatMap(({ entries }) => entries);
}

function carryOut(plan: Plan, record: string, { inside }: Source): Mutation {
  const { op, at, ifVersion } = plan;
  const now = inside.recordOf(record);
  const terms = { ...(at !== undefined && { at }), ...(ifVersion !== undefined && { ifVersion }), isQuiet: true };
  return inside.write(op, record, fullValue(plan, now), terms);
}

function sourceOf({ name, snapshot, inside }: UndoableCollection): Source {
  if (inside === undefined) throw new Error(`collection ${name}: its writes cannot be heard`);
  return { name, inside, snapshot, isPending: (id) => (snapshot.getSnapshot().status.get(id)?.pending ?? 0) > 0 };
}
