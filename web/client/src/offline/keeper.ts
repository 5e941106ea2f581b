import type { WireRecord } from "../collection/wire";
import type { ChannelKeeper, KeeperSource, KeptChannel, KeptWrite } from "../keeper";
import type { Platform } from "../types";
import { type Database, PATIENCE_MS } from "./database";
import { type ChannelRow, type OutboxRow, ROW_VERSION, type Transaction } from "./schema";

/** What the server told is written this long after it came, or at once when so many records wait. */
const LAZY_MS = 250;
const LAZY_RECORDS = 100;

export interface KeeperOptions {
  readonly channel: string;
  readonly tab: string;
  readonly db: Database;
  readonly platform: Platform;
  readonly source: KeeperSource;
  /** Tabs that live, this one included. */
  alive(): Promise<ReadonlySet<string>>;
  /** Something is about to be kept that only this device has. */
  onKept(): void;
  /** Rows were found that this code cannot read. */
  onUnreadable(rows: number): void;
}

/** What is written in one transaction, so that the cursor never runs ahead of the data. */
interface Batch {
  readonly row: Omit<ChannelRow, "usedAt"> | undefined;
  readonly records: readonly (readonly [collection: string, id: string, record: WireRecord | undefined])[];
  readonly resets: readonly string[];
  readonly forgotten: readonly string[];
}

/**
 * Keeps one channel in a database. Writes are put there at once, one transaction after the other; what the server told follows a
 * moment later: records, the position they are at, and the writes that have settled up to it go in one transaction, or not at all.
 */
export class Keeper implements ChannelKeeper {
  readonly #options: KeeperOptions;
  readonly #unkept = new Map<string, KeptWrite>();
  /** Of these, what was made in this task. */
  #fresh: KeptWrite[] = [];
  readonly #dirty = new Map<string, Set<string>>();
  readonly #resets = new Set<string>();
  readonly #forgotten = new Set<string>();
  #hasMoved = false;
  #isClosed = false;
  #timer: unknown;
  /** What is done to the database, one after the other. */
  #queue: Promise<unknown> = Promise.resolve();

  constructor(options: KeeperOptions) {
    this.#options = options;
  }

  get #isOff(): boolean {
    return this.#isClosed || this.#options.db.isMemory;
  }

  get source(): KeeperSource {
    return this.#options.source;
  }

  async load(): Promise<KeptChannel | undefined> {
    const { platform, db } = this.#options;
    let timer: unknown;
    const tooLate = new Promise<undefined>((resolve) => {
      timer = platform.setTimeout(() => {
        db.fallBack("blocked");
        resolve(undefined);
      }, PATIENCE_MS);
    });
    const kept = await Promise.race([this.#read(), tooLate]);
    platform.clearTimeout(timer);
    return kept;
  }

  keep(writes: readonly KeptWrite[]): void {
    if (this.#isOff || writes.length === 0) return;
    this.#options.onKept();
    for (const write of writes) this.#unkept.set(write.id, write);
    if (this.#fresh.push(...writes) > writes.length) return; // goes with those before
    const put = Promise.resolve().then(() => this.#put());
    this.#enqueue(() => put);
  }

  forget(id: string): void {
    if (this.#isOff) return;
    this.#unkept.delete(id);
    this.#forgotten.add(id);
    this.#soon();
  }

  changed(collection?: string, ids: Iterable<string> = [], isReset = false): void {
    if (this.#isOff) return;
    this.#hasMoved = true;
    if (collection !== undefined) {
      const dirty = this.#dirty.get(collection) ?? new Set();
      for (const id of ids) dirty.add(id);
      this.#dirty.set(collection, dirty);
      if (isReset) this.#resets.add(collection);
      if (dirty.size >= LAZY_RECORDS) this.#flush();
    }
    this.#soon();
  }

  purge(): void {
    if (this.#isClosed) return;
    this.#unkept.clear();
    this.#enqueue(() => this.#options.db.run("readwrite", (tx) => forgetChannel(tx, this.#options.channel, this.#options.db)));
  }

  close(): void {
    if (this.#isClosed) return;
    this.#flush();
    this.#isClosed = true;
    this.#options.platform.clearTimeout(this.#timer);
  }

  /** When all that was asked for is done. */
  async idle(): Promise<void> {
    let seen: unknown;
    while (seen !== this.#queue) {
      seen = this.#queue;
      await seen;
    }
  }

  /** Writes now what waits for its moment. */
  #flush(): void {
    this.#options.platform.clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#enqueue(() => this.#write());
  }

  #soon(): void {
    this.#timer ??= this.#options.platform.setTimeout(() => this.#flush(), LAZY_MS);
  }

  #enqueue(act: () => Promise<unknown>): void {
    this.#queue = this.#queue.then(act).catch(this.#options.platform.reportError);
  }

  /** Writes of tabs that are gone, grouped by client id: oldest first. */
  async orphans(rows: readonly OutboxRow[]): Promise<readonly KeptWrite[]> {
    return inOrder(rows, await this.#options.alive());
  }

  async #read(): Promise<KeptChannel | undefined> {
    const { db, channel, onUnreadable } = this.#options;
    const range = db.within(channel);
    const found = await db.run("readonly", async (tx) => {
      const [row, records, rows] = await Promise.all([
        tx.objectStore("channels").get(channel),
        tx.objectStore("records").getAll(range),
        tx.objectStore("outbox").getAll(range),
      ]);
      return { row, records, rows };
    });
    if (found === undefined) return undefined;
    const { row, records, rows } = found;
    const unreadable = rows.filter(({ v }) => v !== ROW_VERSION).length;
    if (unreadable > 0) onUnreadable(unreadable);
    const collections = new Map((row?.collections ?? []).map((name) => [name, [] as WireRecord[]]));
    for (const { collection, record } of records) collections.get(collection)?.push(record);
    return {
      position: row && { epoch: row.epoch, offset: row.offset },
      collections,
      writes: await this.orphans(rows),
    };
  }

  /**
   * Hands writes to the database before their task ends, with the order to commit them: a page that goes away in the next moment, as
   * a reload makes it, takes with it whatever waits for an answer, and nothing that was handed over whole.
   */
  async #put(): Promise<void> {
    const { db, channel, tab } = this.#options;
    const writes = this.#fresh;
    this.#fresh = [];
    const isUnkept = (write: KeptWrite) => this.#unkept.get(write.id) === write;
    await db.run("readwrite", async (tx) => {
      const outbox = tx.objectStore("outbox");
      for (const write of writes.filter(isUnkept)) quietly(outbox.put?.({ ...write, v: ROW_VERSION, channel, tab }));
      tx.commit();
    });
    for (const write of writes) if (isUnkept(write)) this.#unkept.delete(write.id);
  }

  async #write(): Promise<void> {
    const batch = this.#batch();
    if (batch === undefined) return;
    const isWritten = await this.#options.db.run("readwrite", (tx) => this.#commit(tx, batch));
    if (isWritten === false) this.#takeBack(batch);
  }

  /** What the channel is like at this moment. */
  #batch(): Batch | undefined {
    const { channel, source } = this.#options;
    const position = source.position();
    // While a channel is told anew its records are of no position.
    if (position === undefined || (!this.#hasMoved && this.#forgotten.size === 0)) return undefined;
    const collections = source.loaded();
    const resets = [...this.#resets];
    const records = collections.flatMap((name) => {
      const told = source.records(name);
      const ids = resets.includes(name) ? told.keys() : (this.#dirty.get(name) ?? []);
      return [...ids].map((id) => [name, id, told.get(id)] as const);
    });
    // Where there are no records there is nothing to go on with: messages go to who is there.
    const row = collections.length > 0 ? { channel, ...position, collections } : undefined;
    const batch = { row, records, resets, forgotten: [...this.#forgotten] };
    this.#dirty.clear();
    this.#resets.clear();
    this.#forgotten.clear();
    this.#hasMoved = false;
    return batch;
  }

  #takeBack({ records, resets, forgotten }: Batch): void {
    for (const [name, id] of records) this.#dirty.set(name, (this.#dirty.get(name) ?? new Set()).add(id));
    for (const name of resets) this.#resets.add(name);
    for (const id of forgotten) this.#forgotten.add(id);
  }

  /**
   * False when it is not the time for this batch. Tabs write the same channel, each at its own pace, and the position only goes
   * forward: what is at or before the kept one is there already. A tab that lost the log's thread may not write what it has of
   * another epoch; the one that was told anew may, and replaces everything.
   */
  async #commit(tx: Transaction, { row, records, resets, forgotten }: Batch): Promise<boolean> {
    const { db, channel, platform } = this.#options;
    const [channels, kept, outbox] = [tx.objectStore("channels"), tx.objectStore("records"), tx.objectStore("outbox")];
    const known = await channels.get(channel);
    if (row !== undefined) {
      const isAnew = row.collections.every((name) => resets.includes(name));
      const isOther = known !== undefined && known.epoch !== row.epoch;
      if (isOther && !isAnew) return false;
      const ahead = known === undefined || isOther || isAnew ? 1 : row.offset - known.offset;
      const isCovered = known !== undefined && row.collections.every((name) => known.collections.includes(name));
      if (ahead < 0 && !isCovered) return false;
      if (ahead > 0 || (ahead === 0 && !isCovered)) {
        for (const name of resets) quietly(kept.delete?.(db.within(channel, name)));
        for (const [collection, id, record] of records) {
          if (record === undefined) quietly(kept.delete?.([channel, collection, id]));
          else quietly(kept.put?.({ channel, collection, id, record }));
        }
        quietly(channels.put?.({ ...row, usedAt: platform.now() }));
      }
    }
    for (const id of forgotten) quietly(outbox.delete?.([channel, id]));
    return true;
  }
}

/** Takes a channel out, with what was written to it. */
async function forgetChannel(tx: Transaction, channel: string, db: Database): Promise<void> {
  const range = db.within(channel);
  quietly(tx.objectStore("channels").delete?.(channel));
  quietly(tx.objectStore("records").delete?.(range));
  quietly(tx.objectStore("outbox").delete?.(range));
}

function inOrder(rows: readonly OutboxRow[], alive: ReadonlySet<string>): readonly KeptWrite[] {
  const byClient = new Map<string, KeptWrite[]>();
  for (const { v, tab, channel: _, ...write } of rows) {
    if (v !== ROW_VERSION || alive.has(tab)) continue;
    byClient.set(write.client, [...(byClient.get(write.client) ?? []), write]);
  }
  // Rows come in the order of their ids, so clients are in the order of their first writes already.
  return [...byClient.values()].flatMap((writes) => writes.sort((a, b) => a.n - b.n));
}

/** A request whose failure ends its transaction, which tells of it. */
export function quietly(request: Promise<unknown> | undefined): void {
  request?.catch(() => {});
}
