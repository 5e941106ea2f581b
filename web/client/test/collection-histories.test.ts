/** Whole histories of a record, which Go judges itself by too: what is taken, in which orders, and what comes of it. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { type Content, reduce } from "../src/collection/reduce";
import type { WireRecord, WireStatus } from "../src/collection/wire";
import type { MutationOp } from "../src/types";

interface HistoryWrite extends Partial<Content> {
  readonly client: string;
  readonly at: string;
  readonly op: MutationOp;
}

interface History {
  readonly name: string;
  readonly mutations: readonly HistoryWrite[];
  readonly statuses: readonly WireStatus[];
  readonly orders?: readonly (readonly number[])[];
  readonly record: Partial<WireRecord> | null;
}

const histories: History[] = JSON.parse(
  readFileSync(new URL("../../../conformance/collections/histories.json", import.meta.url), "utf8"),
);
const AUTHOR = { subject: "ada", now: 1 };

/** What a record consists of, without who and when. */
function contentOf(record: WireRecord | undefined) {
  if (record === undefined) return null;
  const { fields, sets = {}, counters = {}, stamps, setStamps = {}, deleted } = record;
  return { fields, sets, counters, stamps, setStamps, ...(deleted !== undefined && { deleted }) };
}

function reduceAll(writes: readonly HistoryWrite[]) {
  let record: WireRecord | undefined;
  const statuses = writes.map(({ client, at, op, fields = {}, sets = {}, counters = {} }) => {
    const result = reduce(record, { op, record: "r", fields, sets, counters }, `${at}@${client}`, AUTHOR);
    record = result.record;
    return result.status;
  });
  return { statuses, content: contentOf(record) };
}

describe("histories of a record", () => {
  it("[M9] there are some that Go reads too", () => {
    expect(histories.length).toBeGreaterThan(100);
  });

  it.each(histories)("[M2] [M3] [M9] $name", ({ mutations, statuses, orders = [], record }) => {
    expect(reduceAll(mutations)).toEqual({ statuses, content: record });
    for (const order of orders) {
      const reordered = order.flatMap((at) => mutations[at] ?? []);
      expect(reduceAll(reordered).content).toEqual(record);
    }
  });
});
