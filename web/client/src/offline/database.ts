import { unwrap, wrap } from "idb";
import type { Device } from "../device";
import { type Report, ValueStore } from "../store";
import type { Platform, StorageSnapshot } from "../types";
import { DATABASE_VERSION, type Handle, STORES, type Transaction, upgrade } from "./schema";

/** How long opening and reading may take. Then the app goes on without. */
export const PATIENCE_MS = 3_000;

type Reason = NonNullable<StorageSnapshot["reason"]>;

/**
 * A database that is open when it is needed, or the memory that takes its place.
 *
 * A handle can die under whoever holds it: another tab upgrades or deletes the database, the browser closes it, its process is gone.
 * So a transaction that cannot be begun or is aborted is tried once more, with a new handle. What fails twice, or a database that
 * does not open within 3 s, turns the storage to memory for the rest of this page's life: it says so, and the app works on.
 */
export class Database {
  readonly name: string;
  readonly state: ValueStore<StorageSnapshot>;
  readonly #device: Device;
  readonly #platform: Platform;
  readonly #report: Report;
  /** Makes room when the device says that there is none. Not called while it runs. */
  onFull: () => Promise<void> = async () => {};
  #opening: Promise<Handle | undefined> | undefined;
  #isMakingRoom = false;

  constructor(name: string, device: Device, platform: Platform) {
    this.name = name;
    this.#device = device;
    this.#platform = platform;
    this.#report = platform.reportError;
    this.state = new ValueStore<StorageSnapshot>({ mode: "opening" }, platform.reportError);
  }

  get isMemory(): boolean {
    return this.state.getSnapshot().mode === "memory";
  }

  /** All keys that begin with these parts: an array sorts after every string. */
  within(...parts: string[]): IDBKeyRange {
    return IDBKeyRange.bound(parts, [...parts, []]);
  }

  /** Opens it, and says whether there is one. */
  async open(): Promise<boolean> {
    return (await this.#handle()) !== undefined;
  }

  /**
   * Runs one transaction: all of `act`, or nothing of it. `act` may be called again when that failed. Undefined when there is only
   * memory. Never rejects.
   */
  async run<R>(mode: IDBTransactionMode, act: (tx: Transaction) => Promise<R>): Promise<R | undefined> {
    let cause: unknown;
    for (let tries = 0; tries < 2; tries++) {
      const db = await this.#handle();
      if (db === undefined) return undefined;
      try {
        return await transact(db, mode, act);
      } catch (error) {
        cause = error;
        if (isFull(error)) await this.#makeRoom();
        else this.#drop();
      }
    }
    if (!this.isMemory) this.#report(cause);
    this.fallBack(isFull(cause) ? "full" : "broken");
    return undefined;
  }

  /** From now on there is only memory. */
  fallBack(reason: Reason): void {
    if (!this.isMemory) this.state.set(Object.freeze({ mode: "memory", reason }));
    this.#drop();
  }

  /** Closes the handle; the next use opens another. */
  close(): void {
    this.#drop();
  }

  /** Deletes it. Other tabs close it when they hear of that. */
  async delete(): Promise<void> {
    this.fallBack("cleared");
    const { indexedDB } = this.#device;
    if (indexedDB) await wrap(indexedDB.deleteDatabase(this.name));
  }

  async #makeRoom(): Promise<void> {
    if (this.#isMakingRoom) return;
    this.#isMakingRoom = true;
    try {
      await this.onFull();
    } finally {
      this.#isMakingRoom = false;
    }
  }

  #drop(): void {
    const opening = this.#opening;
    this.#opening = undefined;
    opening?.then((db) => db?.close()).catch(() => {});
  }

  #handle(): Promise<Handle | undefined> {
    if (this.isMemory) return Promise.resolve(undefined);
    this.#opening ??= this.#open();
    return this.#opening;
  }

  async #open(): Promise<Handle | undefined> {
    const { indexedDB } = this.#device;
    if (!indexedDB) {
      this.fallBack("unavailable");
      return undefined;
    }
    let timer: unknown;
    const tooLate = new Promise<undefined>((resolve) => {
      timer = this.#platform.setTimeout(() => resolve(undefined), PATIENCE_MS);
    });
    try {
      const request = indexedDB.open(this.name, DATABASE_VERSION);
      request.onupgradeneeded = () => upgrade(wrap(request.result) as unknown as Handle);
      const opened = wrap(request) as unknown as Promise<Handle>;
      const db = await Promise.race([opened, tooLate]);
      if (db === undefined) {
        opened.then((late) => late.close()).catch(() => {});
        this.fallBack("blocked");
      } else this.#watch(db);
      return db;
    } catch (error) {
      // Firefox and some private windows have an IndexedDB that cannot be opened.
      this.#report(error);
      this.fallBack(isFull(error) ? "full" : "unavailable");
      return undefined;
    } finally {
      this.#platform.clearTimeout(timer);
    }
  }

  #watch(db: Handle): void {
    if (this.isMemory) {
      db.close(); // somebody signed out meanwhile
      return;
    }
    if (this.state.getSnapshot().mode !== "device") this.state.set(Object.freeze({ mode: "device" }));
    const raw = unwrap(db);
    // Another tab upgrades the database, which an older page cannot read then, or deletes it.
    raw.onversionchange = (event) => this.fallBack(event.newVersion === null ? "cleared" : "blocked");
    raw.onclose = () => this.#drop();
  }
}

async function transact<R>(db: Handle, mode: IDBTransactionMode, act: (tx: Transaction) => Promise<R>): Promise<R> {
  const tx = db.transaction(STORES, mode) as unknown as Transaction;
  const done = tx.done;
  done.catch(() => {}); // reported by the await below, unless `act` fails first
  try {
    const result = await act(tx);
    await done;
    return result;
  } catch (error) {
    try {
      tx.abort();
    } catch {} // it has ended already, which is why this is here
    throw error;
  }
}

function isFull(error: unknown): boolean {
  return typeof error === "object" && error !== null && "name" in error && error.name === "QuotaExceededError";
}
