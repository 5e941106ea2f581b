/** What this client has done to one record, and how to take that back. Records in, plans out: no clock, no socket. */
import { isSameJson } from "../collection/json";
import type { WireRecord } from "../collection/wire";
import type { Write } from "../collection/write";
import { timeOf } from "../hlc";
import type { Json, Outcome } from "../types";
import { Chain, type Fate, type Owner, type Turn } from "./chain";
import {
  type Authors,
  type Found,
  isAlive,
  isTheirs,
  isWrittenByOthers,
  lookUp,
  type Named,
  nameOf,
  type Plan,
  type Slot,
  slotsOf,
  type Written,
} from "./slot";
import { Tally } from "./tally";

/**
 * Why something was left as it is: somebody else has written it since; the record is deleted; the field had no value before, and a
 * record cannot lose a field; or the server refused it.
 */
export type SkipReason = "changed" | "deleted" | "unset" | "refused";

/** Something that was left as it is: a field or a set, or without a name all of the record. */
export interface Skip {
  readonly name?: string;
  readonly reason: SkipReason;
}

/** Of a record that was made, restored or deleted. */
interface Life {
  /** What was done: it was made or restored; or it was deleted. */
  readonly isBegun: boolean;
  /** It was made, not restored: what is edited in the same step is a part of that. */
  readonly isNew: boolean;
  /** The write that did so, until it has settled; and the one that takes it back, or does it again. */
  write?: string | undefined;
  sent?: string | undefined;
  /** Of what has begun, and of what undo has ended: how it was then, and what others had counted in it. */
  begun?: WireRecord | undefined;
  counted: Named<number>;
  /** Somebody else has restored it, or written in it since it began. */
  isShared: boolean;
}

/** One record's part of a step. */
export interface Entry extends Owner {
  life?: Life | undefined;
  /** False while it is taken back. */
  isDone: boolean;
  /** It is in no step any more. */
  isOut: boolean;
  turn?: Turn;
  /** It was taken back in its turn, because somebody else was there first. */
  isOvertaken?: boolean;
}

/** What has become of a write. */
export interface Settled {
  readonly id: string;
  readonly outcome: Outcome;
  readonly write?: Write;
  /** The record as it was in the log before, where that is known. */
  readonly before?: WireRecord | undefined;
  /** As it is shown. */
  readonly now: WireRecord | undefined;
}

/** How a step is taken back, or done again, and what of it is not. */
export interface Turned {
  readonly plans: readonly Plan[];
  readonly skipped: readonly Skip[];
}

/** Of one record: its slots, its counters, and whether it is there. A step's part of that is an entry. */
export class Ledger {
  readonly #authors: Authors;
  readonly #chains = new Map<Slot, Chain>();
  readonly #tallies = new Map<string, Tally>();
  /** Of entries with a life. */
  #lives: Entry[] = [];

  constructor(authors: Authors) {
    this.#authors = authors;
  }

  /** Whether nothing can come of it any more. */
  get isIdle(): boolean {
    return this.#lives.length === 0 && this.#parts().every(({ isIdle }) => isIdle);
  }

  entry(): Entry {
    return {
      isDone: true,
      isOut: false,
      get isGone() {
        return this.isOut && !this.life?.sent; // what a turn has done to others is given back first
      },
      get stands() {
        return this.isDone || this.life !== undefined; // what was edited in a new record comes and goes with it
      },
    };
  }

  /** Whether something is left of an entry. */
  has(entry: Entry): boolean {
    return !entry.isOut && (entry.life !== undefined || this.#parts().some((part) => part.has(entry)));
  }

  /** A write was made: for an entry, or for none that can be taken back. The record is as it was shown before and after. */
  wrote(
    id: string,
    write: Write,
    before: WireRecord | undefined,
    after: WireRecord | undefined,
    entry: Entry | undefined,
  ): void {
    const was = isAlive(before);
    const is = isAlive(after);
    const owner = was && is ? entry : undefined;
    for (const [slot, value] of slotsOf<Json>(write.fields, write.sets)) {
      const found = lookUp(before, slot);
      const chain = this.#chains.get(slot) ?? (owner && new Chain(found.value));
      if (!chain) continue;
      if (isTheirs(found, this.#authors)) chain.cover(found.value);
      chain.wrote(id, value, owner);
      this.#chains.set(slot, chain);
    }
    for (const [name, by] of Object.entries(write.counters)) {
      const tally = this.#tallies.get(name) ?? new Tally();
      tally.wrote(id, by, owner);
      this.#tallies.set(name, tally);
    }
    if (!entry || was === is) return;
    entry.life = { isBegun: is, isNew: before === undefined, write: id, ...this.#begun(is ? after : undefined) };
    this.#lives.push(entry);
  }

  /** A plan was carried out: to turn an entry, or as a correction. */
  sent(id: string, { op, values, counters }: Plan, entry: Entry | undefined): void {
    for (const slot of values?.keys() ?? []) this.#chains.get(slot)?.sent(id, entry?.turn);
    for (const name of Object.keys(counters ?? {})) this.#tallies.get(name)?.sent(id, entry?.turn);
    if (op !== "patch" && entry?.life) entry.life.sent = id;
  }

  /** A write has settled. Tells how what it took from others is given back at once. */
  settled(end: Settled): readonly Plan[] {
    const { id, write, before } = end;
    for (const [slot, chain] of this.#chains) {
      const found = lookUp(before, slot);
      const isByOthers = isTheirs(found, this.#authors);
      // An outcome names the set of which something has lost, and not what.
      const mayBeLost = !before || !write || (isByOthers && timeOf(found.stamp) >= write.at);
      chain.settled(
        id,
        fateOf(end, mayBeLost ? nameOf(slot) : undefined),
        before && { value: found.value, isTheirs: isByOthers },
      );
    }
    for (const tally of this.#tallies.values()) tally.settled(id, fateOf(end));
    return this.#lives.flatMap((entry) => this.#settleLife(entry, end) ?? []);
  }

  /** Takes an entry back, or does it again. */
  turn(entry: Entry, now: WireRecord | undefined, isPending: boolean): Turned {
    const { life } = entry;
    const toRestore = life && life.isBegun !== entry.isDone;
    // Else it was restored by somebody, or deleted anew.
    if (toRestore) return this.#turnLife(entry, life, now, this.#toRestore(now));
    if (!isAlive(now)) return leave(entry, "deleted");
    if (!life) return this.#turnEdits(entry, now);
    if (life.isShared || this.#isTouched(life, now)) {
      entry.life = undefined; // it stays; what was edited in it goes back
      const { plans, skipped } = this.#turnEdits(entry, now);
      return { plans, skipped: [{ reason: "changed" }, ...skipped] };
    }
    // Deletions win over edits whenever they come (M3), so this one is on a condition. What has not settled has no version yet.
    const plan: Plan = { op: "delete", ...(!isPending && { ifVersion: now.version }) };
    return this.#turnLife(entry, life, now, plan);
  }

  /** What is to be written so that the record holds what it should. */
  due(now: WireRecord | undefined): readonly Plan[] {
    if (!isAlive(now)) return []; // a deleted record takes nothing; it may be restored
    /** By the time of the write that is replaced: each has to be a write of its own. */
    const values = new Map<string, Map<Slot, Json>>();
    for (const [slot, chain] of this.#chains) {
      const { due } = chain;
      const found = lookUp(now, slot);
      if (due === undefined || !this.#isHeld(chain, found)) continue;
      const at = timeOf(found.stamp);
      values.set(at, (values.get(at) ?? new Map()).set(slot, due));
    }
    const plans = [...values].map(([at, some]): Plan => ({ op: "patch", values: some, at }));
    const counts = [...this.#tallies].map(([name, { due }]) => [name, due] as const).filter(([, by]) => by !== 0);
    // Counters have no time, and what is refused of the rest is not to hold them up.
    return counts.length > 0 ? [...plans, { op: "patch", counters: Object.fromEntries(counts) }] : plans;
  }

  /** Forgets what can be neither taken back nor done again, and what has settled. */
  tidy(): void {
    this.#lives = this.#lives.filter(({ life, isGone }) => life && !isGone);
    for (const part of this.#parts()) part.tidy();
    for (const [slot, { isIdle }] of this.#chains) if (isIdle) this.#chains.delete(slot);
  }

  #turnLife(entry: Entry, life: Life, now: WireRecord | undefined, plan: Plan | undefined): Turned {
    if (!plan || !now) return leave(entry, "changed");
    turnOver(entry);
    Object.assign(life, this.#begun(now));
    return { plans: [plan], skipped: [] };
  }

  #turnEdits(entry: Entry, now: WireRecord): Turned {
    const skipped = new Map<string, Skip>();
    const skip = (slot: Slot, reason: SkipReason) => skipped.set(nameOf(slot), { name: nameOf(slot), reason });
    const mine = [...this.#chains].filter(([, chain]) => chain.has(entry));
    for (const [slot, chain] of mine) {
      const found = lookUp(now, slot);
      const isShown = this.#isHeld(chain, found);
      if (isShown && !chain.isBuried(entry)) continue;
      if (!isShown) chain.cover(found.value);
      chain.drop(entry);
      skip(slot, "changed");
    }
    turnOver(entry);
    for (const [slot, chain] of mine) {
      if (chain.wanted !== undefined) continue;
      chain.fix(entry);
      skip(slot, "unset");
    }
    return { plans: this.due(now), skipped: [...skipped.values()] };
  }

  #settleLife(entry: Entry, { id, outcome: { status }, before, now }: Settled): Plan | undefined {
    const { life } = entry;
    if (!life) return undefined;
    const isDone = status === "applied" || status === "unknown";
    if (before && life.begun && isWrittenByOthers(life.begun, before, this.#authors)) life.isShared = true;
    if (life.write === id && !isDone) {
      // What is being deleted here did not begin with this client.
      if (life.isBegun && !entry.isDone) life.isShared = true;
      // Done again, it is another write, which may come to something.
      else if (life.isNew || !entry.isDone || !life.sent) entry.life = undefined;
    }
    if (life.sent !== id) return undefined;
    life.sent = undefined;
    const isRestored = life.isBegun === entry.isDone;
    // Somebody else has restored it first.
    if (status === "noop" && isRestored) for (const other of this.#lives) if (other.life) other.life.isShared = true;
    if (!isDone) entry.isOut = true;
    if (!isDone || isRestored || !before) return undefined;
    const isAsShown = before.updatedBy === life.begun?.updatedBy && !this.#isTouched(life, before, true);
    if (isAsShown && !life.isShared) return undefined;
    entry.life = undefined; // as above
    entry.isOvertaken = true;
    return this.#toRestore(now);
  }

  #begun(record: WireRecord | undefined): Pick<Life, "begun" | "counted" | "isShared"> {
    return { begun: record, counted: this.#countedByOthers(record), isShared: false };
  }

  /** Whether somebody else has written in a record since it began, or counted: counters have no stamps. */
  #isTouched({ begun, counted }: Life, now: WireRecord, isInLog = false): boolean {
    const isCounted = !isSameJson(this.#countedByOthers(now, isInLog), counted);
    return isCounted || (begun !== undefined && isWrittenByOthers(begun, now, this.#authors));
  }

  /** What others have made of the counters, nothing where it is none: in a record as the log has it, or as it is shown. */
  #countedByOthers({ counters = {} }: Pick<WireRecord, "counters"> = {}, isInLog = false): Named<number> {
    const others = Object.entries(counters).map(
      ([name, is]) => [name, is - (this.#tallies.get(name)?.total(isInLog) ?? 0)] as const,
    );
    return Object.fromEntries(others.filter(([, by]) => by !== 0));
  }

  /** Undefined when it was not this client that has deleted the record. */
  #toRestore(now: WireRecord | undefined): Plan | undefined {
    const isMine = now?.deleted !== undefined && this.#authors.isOwn(now.deleted);
    return isMine ? { op: "restore", at: timeOf(now.deleted) } : undefined;
  }

  /** Whether what is shown is what this client has put there. */
  #isHeld(chain: Chain, found: Found): found is Written {
    return found.stamp !== undefined && this.#authors.isOwn(found.stamp) && isSameJson(found.value, chain.held);
  }

  #parts(): readonly (Chain | Tally)[] {
    return [...this.#chains.values(), ...this.#tallies.values()];
  }
}

function turnOver(entry: Entry): void {
  entry.isDone = !entry.isDone;
  entry.turn = { owner: entry };
}

/** Nothing of an entry can be taken back or done again. */
function leave(entry: Entry, reason: SkipReason): Turned {
  entry.isOut = true;
  return { plans: [], skipped: [{ reason }] };
}

/** `name` is of what may have lost. */
function fateOf({ outcome, write }: Settled, name?: string): Fate {
  const { status } = outcome;
  if (status === "superseded" && write?.op !== "restore") return "lost";
  if (status === "applied" && name !== undefined && outcome.lost?.includes(name)) return "lost";
  if (status === "applied" || status === "unknown") return "applied";
  return status === "gone" ? "gone" : "refused";
}
