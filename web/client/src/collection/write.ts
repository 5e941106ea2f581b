/** From what an app writes, to what a mutation says. */
import type { KeptWrite } from "../keeper";
import type { Json, MutationOp } from "../types";
import { own, toJson } from "./json";
import type { Content, Operation } from "./reduce";
import type { WireRecord } from "./wire";

/** One write of this client, as it was made. */
export interface Write extends Operation {
  /** Identity of the write, the same however often it is sent. */
  readonly id: string;
  readonly collection: string;
  /** The author's hybrid logical time. */
  readonly at: string;
  /** The highest offset that the author had seen. */
  readonly base: number;
  /** When it was made, ms since 1970. */
  readonly time: number;
  readonly ifVersion?: number;
  /** What becomes of it is told to who made it, and to nobody else. */
  readonly isQuiet?: boolean;
  /** The values as the app gave them, to be shown again when the write is refused. */
  readonly written: Readonly<Record<string, Json>>;
}

/** Names that are the server's (M6). An app may hand a whole record back; what it says of these is not sent. */
const METADATA = new Set(["id", "version", "createdAt", "createdBy", "updatedAt", "updatedBy"]);

export const NOTHING: Content & Pick<Write, "written"> = { fields: {}, sets: {}, counters: {}, written: {} };

/**
 * Sorts values into fields, sets and counters. `{ increment: n }` is a counter. An array of strings is a set, unless the record
 * already has a field of that name, and becomes what must be added to and taken from the set as it is visible now. Undefined is
 * nothing.
 */
export function contentOf(op: MutationOp, value: object, visible: WireRecord | undefined): Content & Pick<Write, "written"> {
  const fields: [string, Json][] = [];
  const sets: [string, Record<string, boolean>][] = [];
  const counters: [string, number][] = [];
  const written: [string, Json][] = [];
  for (const [name, given] of Object.entries(value)) {
    const json = METADATA.has(name) ? undefined : toJson(given);
    if (json === undefined) continue;
    written.push([name, json]);
    const increment = incrementOf(json);
    if (increment !== undefined) counters.push([name, increment]);
    else if (isSet(json) && own(visible?.fields, name) === undefined) {
      const elements = difference(own(visible?.sets, name) ?? [], json);
      // An empty set is worth saying when it makes the name known; a patch that changes nothing of a set is not.
      if (op !== "patch" || Object.keys(elements).length > 0) sets.push([name, elements]);
    } else fields.push([name, json]);
  }
  return {
    fields: Object.fromEntries(fields),
    sets: Object.fromEntries(sets),
    counters: Object.fromEntries(counters),
    written: Object.fromEntries(written),
  };
}

export function isEmpty(content: Content): boolean {
  return [content.fields, content.sets, content.counters].every((part) => Object.keys(part).length === 0);
}

/** Whether `newer` writes everything again that `older` wrote, so that nobody would miss `older`. */
export function covers(newer: Content, older: Content): boolean {
  const has = (names: object, all: object) => Object.keys(names).every((name) => Object.hasOwn(all, name));
  return (
    has(older.fields, newer.fields) &&
    has(older.counters, newer.counters) &&
    Object.entries(older.sets).every(([name, elements]) => has(elements, own(newer.sets, name) ?? {}))
  );
}

/** One write instead of two: the newer one under the older one's id, with the counters of both. */
export function squash(older: Write, newer: Write): Write {
  const counters = Object.entries(newer.counters).map(([name, by]) => [name, by + (own(older.counters, name) ?? 0)] as const);
  const sums = counters.map(([name, increment]) => [name, { increment }] as const);
  return {
    ...newer,
    id: older.id,
    counters: Object.fromEntries(counters),
    written: { ...newer.written, ...Object.fromEntries(sums) },
  };
}

/** The payload of `mutate`. Once sent, these bytes stand for their number for ever (M1). */
export function encode(write: Write, client: string, n: number): string {
  const { id, at, base, op, collection, record, ifVersion } = write;
  const filled = (part: object) => (Object.keys(part).length > 0 ? part : undefined);
  const [fields, sets, counters] = [filled(write.fields), filled(write.sets), filled(write.counters)];
  return JSON.stringify({ client, n, id, at, base, op, collection, record, fields, sets, counters, ifVersion });
}

/** The write that was kept. */
export function decode({ bytes, time, written }: KeptWrite): Write {
  // These bytes were made by `encode`, and kept where nobody but this package writes.
  const { client: _client, n: _n, ...sent } = JSON.parse(bytes) as Write & { client: string; n: number };
  return { ...{ fields: {}, sets: {}, counters: {} }, ...sent, time, written };
}

function incrementOf(value: Json): number | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const { increment, ...rest } = value as { readonly [name: string]: Json };
  return typeof increment === "number" && Object.keys(rest).length === 0 ? increment : undefined;
}

function isSet(value: Json): value is readonly string[] {
  return Array.isArray(value) && value.every((element) => typeof element === "string");
}

function difference(before: readonly string[], after: readonly string[]): Record<string, boolean> {
  const added = after.filter((element) => !before.includes(element)).map((element) => [element, true] as const);
  const removed = before.filter((element) => !after.includes(element)).map((element) => [element, false] as const);
  return Object.fromEntries([...added, ...removed]);
}
