/**
 * What one write did to one record, and how to take that back: values in, values out.
 *
 * Taking back is a write like any other, with one difference: it has the time of the write that it takes back, not the time of now. So
 * by the rule that decides every merge (M2) it wins over that write, and loses to whatever anybody wrote later, whether this client has
 * seen that or not. What is shown here is asked as well, so that what is known to be in vain is not even tried.
 */
import { isSameJson, own } from "../collection/json";
import type { Stamp, WireRecord } from "../collection/seam";
import type { Write } from "../collection/write";
import { timeOf } from "../hlc";
import type { Json, MutationOp } from "../types";

/** Where a value is, by which merges decide: a field, or an element of a set. Made by `slotOf`. */
export type Slot = string;

/** A value that is `to` now and was `from`. Of an element it is whether it is in the set. */
export interface Turn {
  readonly from: Json | undefined;
  readonly to: Json | undefined;
  /** What comes back is somebody else's, from the log: what this client's own writes left there says nothing more of it. */
  readonly isTheirs?: boolean;
}

type Named<V> = Readonly<Record<string, V>>;

/** What writes to one record have done. */
export interface Part {
  readonly record: string;
  /** Ids of the writes. */
  readonly writes: readonly string[];
  /** Counts parts in the order in which they were written. */
  readonly nth: number;
  /** The record came to be, by being made or restored; or it was deleted. */
  readonly life?: "begun" | "ended";
  /** Of what has begun: how it was then, and whether somebody else has written in it since. Of what undo has ended: how it was. */
  readonly begun?: WireRecord;
  readonly isShared?: boolean;
  /** It was made, not restored: what was edited in it since is a part of that. */
  readonly isNew?: boolean;
  readonly turns: ReadonlyMap<Slot, Turn>;
  readonly counters: Named<number>;
}

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

/** A write that takes something back. */
export interface Plan {
  readonly op: Exclude<MutationOp, "put">;
  readonly values: ReadonlyMap<Slot, Json>;
  readonly counters: Named<number>;
  readonly at?: string;
  readonly ifVersion?: number;
}

export interface Inverse {
  readonly plans: readonly Plan[];
  readonly skipped: readonly Skip[];
  /** What was done, as a part that can be taken back in its turn; its writes are the old ones. */
  readonly part: Part | undefined;
}

/** What one has to know of a record's authors. */
export interface Authors {
  isOwn(stamp: Stamp): boolean;
}

const NOTHING: Pick<Part, "turns" | "counters"> & Pick<Plan, "values"> = { turns: new Map(), counters: {}, values: new Map() };

function slotOf(name: string, element?: string): Slot {
  return JSON.stringify([name, element]);
}

/** The field's or the set's name, and the element. */
function partsOf(slot: Slot): readonly [name: string, element: string | null] {
  return JSON.parse(slot);
}

export function nameOf(slot: Slot): string {
  return partsOf(slot)[0];
}

/** What is in a slot, and the stamp that it has. */
export function lookUp(record: WireRecord | undefined, slot: Slot): { value: Json | undefined; stamp: Stamp | undefined } {
  const [name, element] = partsOf(slot);
  if (element === null) return { value: own(record?.fields, name), stamp: own(record?.stamps, name) };
  const sign = own(own(record?.setStamps, name), element);
  return { value: sign?.startsWith("+") ?? false, stamp: sign?.slice(1) };
}

/** What a write does to a record, as it was shown before and after. Undefined when that is nothing. */
export function partOf(
  { id, write, nth }: { id: string; write: Write; nth: number },
  before: WireRecord | undefined,
  after: WireRecord | undefined,
): Part | undefined {
  const about = { record: write.record, writes: [id], nth };
  const [was, is] = [isAlive(before), isAlive(after)];
  if (!was && is && after) return { ...about, ...NOTHING, life: "begun", begun: after, isNew: before === undefined };
  if (was && !is) return { ...about, ...NOTHING, life: "ended" };
  if (!was) return undefined;
  const turns = new Map(writtenBy(write).map(([slot, to]) => [slot, { from: lookUp(before, slot).value, to }]));
  return tidy({ ...about, turns, counters: write.counters });
}

/** What a write puts where. */
export function writtenBy({ fields, sets }: Pick<Write, "fields" | "sets">): (readonly [Slot, Json])[] {
  return [
    ...Object.entries(fields).map(([name, to]) => [slotOf(name), to] as const),
    ...Object.entries(sets).flatMap(([set, signs]) =>
      Object.entries(signs).map(([element, to]) => [slotOf(set, element), to] as const),
    ),
  ];
}

/** Two parts of one record as one, where the newer one did not begin or end it. */
export function merge(older: Part, newer: Part): Part | undefined {
  if (older.record !== newer.record || newer.life !== undefined || (older.life !== undefined && !older.isNew)) return undefined;
  const writes = [...new Set([...older.writes, ...newer.writes])];
  const sum = { ...counted(older, newer.counters), writes };
  if (older.isNew) return sum;
  const joined = [...newer.turns].map(([slot, turn]) => {
    return [slot, { ...(older.turns.get(slot) ?? turn), to: turn.to }] as const;
  });
  return { ...sum, turns: new Map([...older.turns, ...joined]) };
}

/** The part with more that this client has counted. */
export function counted(part: Part, more: Named<number>): Part {
  return { ...part, counters: { ...part.counters, ...mapOf(more, (by, name) => by + (own(part.counters, name) ?? 0)) } };
}

/** How to take a part back from a record as it is shown. `isPending`: it has writes that have not settled. */
export function invert(part: Part, now: WireRecord | undefined, authors: Authors, isPending: boolean): Inverse {
  const skip = (reason: SkipReason): Inverse => ({ plans: [], skipped: [{ reason }], part: undefined });
  const { record, writes, nth } = part;
  const whole = (plan: Pick<Plan, "op" | "at" | "ifVersion">, life: Pick<Part, "life" | "begun">): Inverse => ({
    plans: [{ ...NOTHING, ...plan }],
    skipped: [],
    part: { record, writes, nth, ...NOTHING, ...life },
  });
  if (part.life === "ended") {
    // Else it was restored by somebody, or deleted anew.
    if (now?.deleted === undefined || !authors.isOwn(now.deleted)) return skip("changed");
    const { deleted, ...begun } = now;
    return whole({ op: "restore", at: timeOf(deleted) }, { life: "begun", begun });
  }
  if (now === undefined || !isAlive(now)) return skip("deleted");
  if (part.life === undefined) return invertEdits(part, now, authors);
  if (part.isShared || isTouchedByOthers(part, now, authors)) return skip("changed");
  // Deletions win over edits whenever they come (M3), so this one is on a condition. What has not settled has no version yet.
  return whole({ op: "delete", ...(!isPending && { ifVersion: now.version }) }, { life: "ended", begun: now });
}

/** Whether somebody else wrote a field or an element since the record began. */
export function isWrittenByOthers({ begun }: Part, now: WireRecord, authors: Authors): boolean {
  const slots = [
    ...Object.keys(now.stamps).map((name) => slotOf(name)),
    ...Object.entries(now.setStamps ?? {}).flatMap(([set, signs]) => Object.keys(signs).map((element) => slotOf(set, element))),
  ];
  return slots.some((slot) => {
    const { stamp } = lookUp(now, slot);
    return isTheirs(stamp, authors) && stamp !== lookUp(begun, slot).stamp;
  });
}

/** Or has counted. Counters have no stamps: somebody else has when they are not what this client's writes make of them. */
export function isTouchedByOthers(part: Part, now: WireRecord, authors: Authors): boolean {
  const expected = (name: string) => (own(part.begun?.counters, name) ?? 0) + (own(part.counters, name) ?? 0);
  const isCounted = Object.entries(now.counters ?? {}).some(([name, total]) => total !== expected(name));
  return isCounted || isWrittenByOthers(part, now, authors);
}

function invertEdits(part: Part, now: WireRecord, { isOwn }: Authors): Inverse {
  const skipped = new Map<string, Skip>();
  const turns = new Map<Slot, Turn>();
  /** What comes back, by the time of the write that it takes back: each has to be a write of its own. */
  const values = new Map<string, Map<Slot, Json>>();
  for (const [slot, turn] of part.turns) {
    const { from, to } = turn;
    const { value, stamp } = lookUp(now, slot);
    const isMine = stamp !== undefined && isOwn(stamp) && isSameJson(value, to);
    if (!isMine || from === undefined) {
      skipped.set(nameOf(slot), { name: nameOf(slot), reason: isMine ? "unset" : "changed" });
      continue;
    }
    values.set(timeOf(stamp), (values.get(timeOf(stamp)) ?? new Map()).set(slot, from));
    turns.set(slot, { ...turn, from: to, to: from });
  }
  const counters = reversed(part.counters);
  const plans = [...values].map(([at, some]): Plan => ({ op: "patch", values: some, counters: {}, at }));
  // Counters have no time, and what is refused of the rest is not to hold them up.
  if (Object.keys(counters).length > 0) plans.push({ op: "patch", values: new Map(), counters });
  return { plans, skipped: [...skipped.values()], part: tidy({ ...part, turns, counters }) };
}

export function reversed(counters: Named<number>): Named<number> {
  return mapOf(counters, (by) => -by);
}

/** The write that puts a value into a slot, in place of what this client has put there; undefined when that is somebody else's. */
export function putBack(slot: Slot, value: Json, now: WireRecord | undefined, { isOwn }: Authors): Plan | undefined {
  const { value: shown, stamp } = lookUp(now, slot);
  if (!isAlive(now) || stamp === undefined || !isOwn(stamp) || isSameJson(shown, value)) return undefined;
  return { op: "patch", values: new Map([[slot, value]]), counters: {}, at: timeOf(stamp) };
}

/** What a plan writes to a record as it is shown: a set is written as the whole of it. */
export function fullValue({ values, counters }: Plan, now: WireRecord | undefined): Named<Json> {
  const fields = new Map<string, Json>(Object.entries(mapOf(counters, (increment) => ({ increment }))));
  for (const [slot, value] of values) {
    const [name, element] = partsOf(slot);
    if (element === null) fields.set(name, value);
    else {
      const others = ((fields.get(name) ?? own(now?.sets, name) ?? []) as readonly string[]).filter(
        (other) => other !== element,
      );
      fields.set(name, value === true ? [...others, element] : others);
    }
  }
  return Object.fromEntries(fields);
}

/** The part with another end of a turn. Undefined when nothing is left of it, as a turn that leads nowhere is none. */
export function withEnd(part: Part | undefined, slot: Slot, end: Partial<Turn>): Part | undefined {
  return part && tidy(withGuess(part, slot, end));
}

/** The same while the write has not settled: that may show that the turn leads somewhere. */
export function withGuess(part: Part, slot: Slot, end: Partial<Turn>): Part {
  const turn = part.turns.get(slot);
  return turn ? { ...part, turns: new Map(part.turns).set(slot, { ...turn, ...end }) } : part;
}

/** The part without some of its slots. Undefined when nothing is left of it. */
export function without(part: Part | undefined, isGone: (slot: Slot) => boolean): Part | undefined {
  return part && tidy({ ...part, turns: new Map([...part.turns].filter(([slot]) => !isGone(slot))) });
}

/** A stamp of somebody else's write. What was never written has none. */
export function isTheirs(stamp: Stamp | undefined, { isOwn }: Authors): stamp is Stamp {
  return stamp !== undefined && !isOwn(stamp);
}

function tidy(part: Part): Part | undefined {
  const turns = new Map([...part.turns].filter(([, { from, to }]) => !isSameJson(from, to)));
  const counters = Object.fromEntries(Object.entries(part.counters).filter(([, by]) => by !== 0));
  const isEmpty = turns.size === 0 && Object.keys(counters).length === 0;
  return isEmpty && part.life === undefined ? undefined : { ...part, turns, counters };
}

function isAlive(record: WireRecord | undefined): boolean {
  return record !== undefined && record.deleted === undefined;
}

// Made from entries, so that a name like `__proto__` is a name.
function mapOf<V, W>(all: Named<V>, make: (value: V, name: string) => W): Named<W> {
  return Object.fromEntries(Object.entries(all).map(([name, value]) => [name, make(value, name)]));
}
