/** What the database holds. */
import type { DBSchema, IDBPDatabase, IDBPTransaction } from "idb";
import type { WireRecord } from "../collection/wire";
import type { KeptWrite } from "../keeper";

/** Of the stores and their keys; the browser asks for another upgrade when it grows. */
export const DATABASE_VERSION = 1;
/** Of the rows in `outbox`. A row of another version is left alone: this code does not know what it says. */
export const ROW_VERSION = 1;

/** A channel whose records are kept, by its kind and name. */
export interface ChannelRow {
  readonly channel: string;
  readonly epoch: string;
  readonly offset: number;
  /** The collections that are whole at this position. */
  readonly collections: readonly string[];
  /** When it was last in use, ms since 1970: what is longest unused goes first. */
  readonly usedAt: number;
}

export interface RecordRow {
  readonly channel: string;
  readonly collection: string;
  readonly id: string;
  readonly record: WireRecord;
}

export interface OutboxRow extends KeptWrite {
  readonly v: number;
  readonly channel: string;
  /** Which tab made it: while that lives, it sends it itself. */
  readonly tab: string;
}

export interface Schema extends DBSchema {
  channels: { key: string; value: ChannelRow; indexes: { usedAt: number } };
  records: { key: [string, string, string]; value: RecordRow };
  outbox: { key: [string, string]; value: OutboxRow };
}

export const STORES = ["channels", "records", "outbox"] as const;

export type Handle = IDBPDatabase<Schema>;
export type Transaction<M extends IDBTransactionMode = IDBTransactionMode> = IDBPTransaction<
  Schema,
  ["channels", "records", "outbox"],
  M
>;

export function upgrade(db: Handle): void {
  db.createObjectStore("channels", { keyPath: "channel" }).createIndex("usedAt", "usedAt");
  db.createObjectStore("records", { keyPath: ["channel", "collection", "id"] });
  db.createObjectStore("outbox", { keyPath: ["channel", "id"] });
}
