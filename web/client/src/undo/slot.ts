/** Where in a record a value is, and who has written it. Values in, values out. */
import { own } from "../collection/json";
import type { Stamp, WireRecord } from "../collection/wire";
import type { Json, MutationOp } from "../types";

/** Where a value is, by which merges decide: a field, or an element of a set. Made by `slotOf`. */
export type Slot = string;

export type Named<V> = Readonly<Record<string, V>>;

/** What one has to know of a record's authors. */
export interface Authors {
  isOwn(stamp: Stamp): boolean;
}

/** What is in a slot. Of an element it is whether it is in the set. */
export interface Found {
  readonly value: Json | undefined;
  /** What was never written has none. */
  readonly stamp: Stamp | undefined;
}

export interface Written extends Found {
  readonly stamp: Stamp;
}

/** A write that undo makes. */
export interface Plan {
  readonly op: Exclude<MutationOp, "put">;
  readonly values?: ReadonlyMap<Slot, Json>;
  readonly counters?: Named<number>;
  readonly at?: string;
  readonly ifVersion?: number;
}

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

export function lookUp(record: WireRecord | undefined, slot: Slot): Found {
  const [name, element] = partsOf(slot);
  if (element === null) return { value: own(record?.fields, name), stamp: own(record?.stamps, name) };
  const sign = own(own(record?.setStamps, name), element);
  return { value: sign?.startsWith("+") ?? false, stamp: sign?.slice(1) };
}

export function isTheirs(found: Found, { isOwn }: Authors): found is Written {
  return found.stamp !== undefined && !isOwn(found.stamp);
}

/** What is where in fields and sets. */
export function slotsOf<V>(fields: Named<V>, sets: Named<Named<V | boolean>> = {}): (readonly [Slot, V | boolean])[] {
  return [
    ...Object.entries(fields).map(([name, value]) => [slotOf(name), value] as const),
    ...Object.entries(sets).flatMap(([set, signs]) =>
      Object.entries(signs).map(([element, sign]) => [slotOf(set, element), sign] as const),
    ),
  ];
}

/** Whether somebody else wrote a field or an element since the record was as in `begun`. */
export function isWrittenByOthers(begun: WireRecord, now: WireRecord, authors: Authors): boolean {
  return slotsOf(now.stamps, now.setStamps).some(([slot]) => {
    const found = lookUp(now, slot);
    return isTheirs(found, authors) && found.stamp !== lookUp(begun, slot).stamp;
  });
}

/** What a plan writes to a record as it is shown: a set is written as the whole of it. */
export function fullValue({ values = new Map(), counters = {} }: Plan, now: WireRecord | undefined): Named<Json> {
  const fields = new Map<string, Json>(Object.entries(counters).map(([name, increment]) => [name, { increment }]));
  for (const [slot, value] of values) {
    const [name, element] = partsOf(slot);
    if (element === null) fields.set(name, value);
    else {
      const all = (fields.get(name) ?? own(now?.sets, name) ?? []) as readonly string[];
      const others = all.filter((other) => other !== element);
      fields.set(name, value === true ? [...others, element] : others);
    }
  }
  return Object.fromEntries(fields); // so that a name like `__proto__` is a name
}

export function isAlive(record: WireRecord | undefined): record is WireRecord {
  return record !== undefined && record.deleted === undefined;
}
