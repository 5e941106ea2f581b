import { timeOf } from "../hlc";
import { withElements } from "./reduce";
import type { RecordsPage, WireChange, WireRecord } from "./wire";

/** A record before and after a change. */
export interface Transition {
  readonly before: WireRecord | undefined;
  readonly after: WireRecord | undefined;
}

/**
 * What the server told of one collection: every record as it is in the log, tombstones included as far as they are known.
 *
 * Pages wait until `commit`. Between the first page and `synced` the records are neither what they were nor what they are, and writes
 * that the pages hold already have not been settled yet: shown then, they would be shown twice.
 */
export class Base {
  #records = new Map<string, WireRecord>();
  #pages: RecordsPage[] = [];
  #upTo = 0;
  #isLoaded = false;
  #isStale = false;

  /** True once the whole collection was told. */
  get isLoaded(): boolean {
    return this.#isLoaded;
  }

  /** True from `fill` until the server has been heard. */
  get isStale(): boolean {
    return this.#isStale;
  }

  /** Every record that is known, tombstones included. */
  get records(): ReadonlyMap<string, WireRecord> {
    return this.#records;
  }

  /** The offset up to which the records hold everything. */
  get upTo(): number {
    return this.#upTo;
  }

  get(id: string): WireRecord | undefined {
    return this.#records.get(id);
  }

  /** Takes the whole collection as it was at an offset, from the device. */
  fill(records: readonly WireRecord[], upTo: number): void {
    this.#records = new Map(records.map((record) => [record.id, record]));
    this.#upTo = upTo;
    this.#isLoaded = this.#isStale = true;
  }

  /** Keeps a page for `commit`. Pages of a catch-up that was cut off are kept too: the next one may go on from behind them. */
  stage(page: RecordsPage): void {
    if (page.reset) this.#pages = [];
    this.#pages.push(page);
  }

  /** Takes the staged pages, and tells which records they touched. */
  commit(): ReadonlySet<string> {
    const touched = new Set<string>();
    for (const page of this.#pages) {
      if (page.reset) {
        for (const id of this.#records.keys()) touched.add(id);
        this.#records = new Map();
        this.#isLoaded = true;
      }
      for (const record of page.records) {
        touched.add(record.id);
        this.#records.set(record.id, record);
      }
      this.#upTo = page.offset;
    }
    this.#pages = [];
    this.#isStale = false;
    return touched;
  }

  /** The newest time in the staged pages, for the clock. */
  newestTime(): string {
    let newest = "";
    for (const page of this.#pages) for (const record of page.records) newest = later(newest, newestStamp(record));
    return timeOf(newest);
  }

  /** Takes an applied change. Undefined when it is in the records already, or is not about one that is known. */
  apply(change: WireChange): Transition | undefined {
    if (change.offset <= this.#upTo) return undefined;
    this.#upTo = change.offset;
    const before = this.#records.get(change.record);
    const after = changed(before, change);
    if (after === undefined) return undefined;
    this.#records.set(change.record, after);
    return { before, after };
  }
}

/** The newest stamp in a record, of a field, an element or the deletion; "" when there is none. */
export function newestStamp(record: WireRecord): string {
  let newest = record.deleted ?? "";
  for (const stamp of Object.values(record.stamps)) newest = later(newest, stamp);
  for (const stamps of Object.values(record.setStamps ?? {})) {
    for (const sign of Object.values(stamps)) newest = later(newest, sign.slice(1));
  }
  return newest;
}

function later(a: string, b: string): string {
  return a < b ? b : a;
}

/** The record that a change makes of another (M7). The server has merged: what the change says is so, without comparing stamps. */
function changed(before: WireRecord | undefined, change: WireChange): WireRecord | undefined {
  if (change.state !== undefined) return change.state;
  if (before === undefined) return undefined;
  const touched = { version: change.offset, updatedBy: change.by, updatedAt: change.time };
  const stamp = change.stamp ?? "";
  if (change.op === "delete") return { ...before, ...touched, deleted: stamp };
  let after = before;
  for (const [name, elements] of Object.entries(change.sets ?? {})) {
    after = withElements(after, name, Object.entries(elements), stamp);
  }
  const stamps = Object.fromEntries(Object.keys(change.fields ?? {}).map((name) => [name, stamp]));
  return {
    ...after,
    ...touched,
    fields: { ...before.fields, ...change.fields },
    stamps: { ...before.stamps, ...stamps },
    ...(change.counters !== undefined && { counters: { ...before.counters, ...change.counters } }),
  };
}
