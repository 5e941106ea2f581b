/**
 * What a write makes of a record: rules M2 and M3, without a server. The same rules decide in Go; conformance/collections/reducer.json
 * judges both. Used to show writes before the server has seen them.
 */
import type { Json, MutationOp } from "../types";
import { own } from "./json";
import type { Stamp, WireRecord, WireStatus } from "./wire";

/** What a write brings. Sets say for each element whether it is added; counters say by how much they grow. */
export interface Content {
  readonly fields: Readonly<Record<string, Json>>;
  readonly sets: Readonly<Record<string, Readonly<Record<string, boolean>>>>;
  readonly counters: Readonly<Record<string, number>>;
}

export interface Operation extends Content {
  readonly op: MutationOp;
  readonly record: string;
}

/** Who writes, and when by the server's clock (ms since 1970): the metadata of what it makes. */
export interface Author {
  readonly subject: string;
  readonly now: number;
}

export interface Reduced {
  /** The record as it is now; the very same one unless the status is applied. */
  readonly record: WireRecord | undefined;
  readonly status: Exclude<WireStatus, "rejected" | "unknown">;
  /** Names of fields and sets of which something lost to a newer write, sorted. */
  readonly lost: readonly string[];
}

/** Pure: no argument is changed, though the result may share parts of them. The version stays: only an append makes a new one. */
export function reduce(record: WireRecord | undefined, write: Operation, stamp: Stamp, author: Author): Reduced {
  const unchanged = (status: Reduced["status"]): Reduced => ({ record, status, lost: [] });
  const touched = { updatedBy: author.subject, updatedAt: author.now };
  const isDeleted = record?.deleted !== undefined;

  switch (write.op) {
    case "put": {
      if (record !== undefined) return unchanged("exists");
      const made = { id: write.record, version: 0, fields: {}, stamps: {}, createdBy: author.subject, createdAt: author.now };
      const merged = merge({ ...made, ...touched }, write, stamp);
      return { record: withNamedSets(merged.record, write), status: "applied", lost: [] };
    }
    case "patch": {
      if (record === undefined || isDeleted) return unchanged("gone");
      const { record: merged, hasWon, lost } = merge(record, write, stamp);
      if (hasWon) return { record: { ...merged, ...touched }, status: "applied", lost };
      return unchanged(lost.length > 0 ? "superseded" : "noop");
    }
    case "delete":
      if (record === undefined || isDeleted) return unchanged("noop");
      return { record: { ...record, ...touched, deleted: stamp }, status: "applied", lost: [] };
    case "restore": {
      if (record?.deleted === undefined) return unchanged("noop");
      if (stamp < record.deleted) return unchanged("superseded");
      const { record: merged, lost } = merge(record, write, stamp);
      const { deleted: _, ...alive } = withNamedSets(merged, write);
      return { record: { ...alive, ...touched }, status: "applied", lost };
    }
    default:
      return write.op satisfies never;
  }
}

interface Merged {
  readonly record: WireRecord;
  readonly hasWon: boolean;
  readonly lost: readonly string[];
}

/** A write wins when its stamp is not older than the field's, or the set element's. Counters add. */
function merge(record: WireRecord, write: Content, stamp: Stamp): Merged {
  const fields = Object.entries(write.fields);
  const won = fields.filter(([name]) => stamp >= (own(record.stamps, name) ?? ""));
  const counters = Object.entries(write.counters).map(([name, by]) => [name, (own(record.counters, name) ?? 0) + by] as const);
  const { record: merged, hasWon, lost } = mergeSets(record, write, stamp);
  return {
    record: {
      ...merged,
      fields: { ...record.fields, ...Object.fromEntries(won) },
      stamps: { ...record.stamps, ...Object.fromEntries(won.map(([name]) => [name, stamp])) },
      ...(counters.length > 0 && { counters: { ...record.counters, ...Object.fromEntries(counters) } }),
    },
    hasWon: hasWon || won.length > 0 || counters.length > 0,
    lost: [...fields.filter((entry) => !won.includes(entry)).map(([name]) => name), ...lost].sort(),
  };
}

function mergeSets(record: WireRecord, write: Content, stamp: Stamp): Merged {
  const lost: string[] = [];
  let merged = record;
  for (const [name, elements] of Object.entries(write.sets)) {
    const stamps = own(record.setStamps, name);
    const won = Object.entries(elements).filter(([element]) => stamp >= (own(stamps, element)?.slice(1) ?? ""));
    if (won.length < Object.keys(elements).length) lost.push(name);
    if (won.length > 0) merged = withElements(merged, name, won, stamp);
  }
  return { record: merged, hasWon: merged !== record, lost };
}

/** The record with elements added to a set (true) or taken from it, all with one stamp. */
export function withElements(
  record: WireRecord,
  name: string,
  elements: readonly (readonly [string, boolean])[],
  stamp: Stamp,
): WireRecord {
  const present = new Set(own(record.sets, name));
  for (const [element, isAdded] of elements) {
    if (isAdded) present.add(element);
    else present.delete(element);
  }
  const signs = elements.map(([element, isAdded]) => [element, (isAdded ? "+" : "-") + stamp] as const);
  const stamps = { ...own(record.setStamps, name), ...Object.fromEntries(signs) };
  return {
    ...record,
    sets: { ...record.sets, [name]: [...present].sort() },
    setStamps: { ...record.setStamps, [name]: stamps },
  };
}

/** A set that was written with nothing in it is an empty set, and not nothing. */
function withNamedSets(record: WireRecord, write: Content): WireRecord {
  const empty = Object.keys(write.sets).filter((name) => own(record.sets, name) === undefined);
  if (empty.length === 0) return record;
  return { ...record, sets: { ...record.sets, ...Object.fromEntries(empty.map((name) => [name, []])) } };
}
