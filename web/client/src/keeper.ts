/**
 * Where a channel meets what keeps it on the device. A channel says what has changed; a keeper decides when that is written, and how.
 * `@chorale/client/offline` has the keeper; without one nothing here costs anything.
 */
import type { WireRecord } from "./collection/wire";
import type { Json, Platform, RealtimeClient, StorageSnapshot, Store } from "./types";

/** A place in a channel's log, to resume from. */
export interface Position {
  readonly epoch: string;
  readonly offset: number;
}

/**
 * An unsettled write as it is kept. `client` and `n` are its number, which only these bytes will ever have (M1): whoever sends them,
 * and however often, the write takes effect once (R4).
 */
export interface KeptWrite {
  /** Identity of the write. Ids order as the writes of one tab were made. */
  readonly id: string;
  readonly client: string;
  readonly n: number;
  /** The payload of `mutate`. */
  readonly bytes: string;
  /** When it was made, ms since 1970. */
  readonly time: number;
  /** The values as the app gave them. */
  readonly written: Readonly<Record<string, Json>>;
}

/** What was kept of a channel. */
export interface KeptChannel {
  /** Undefined when only writes were kept. */
  readonly position: Position | undefined;
  /** The records at the position, of the collections that are whole there. */
  readonly collections: ReadonlyMap<string, readonly WireRecord[]>;
  /** Writes of tabs that are gone, in the order in which they are to be sent: one client id after the other. */
  readonly writes: readonly KeptWrite[];
}

/** What a keeper reads when it writes. What the functions return at one moment belongs together. */
export interface KeeperSource {
  position(): Position | undefined;
  /** Names of the collections that are whole at the position. */
  loaded(): readonly string[];
  records(collection: string): ReadonlyMap<string, WireRecord>;
  /** Takes over writes of a tab that has ended since. */
  adopt(writes: readonly KeptWrite[]): void;
}

/** Keeps one channel. Nothing here throws or rejects: what cannot be kept is told by the storage's state. */
export interface ChannelKeeper {
  /** Called once, before everything else. Undefined when nothing was kept, or nothing can be read. */
  load(): Promise<KeptChannel | undefined>;
  /** These writes are unsettled, under these numbers: kept at once. */
  keep(writes: readonly KeptWrite[]): void;
  /** The write with this id has settled. It is forgotten together with the records and the position that show its effect. */
  forget(id: string): void;
  /** The position has moved; and, where they are named, records have changed, or with `isReset` are others altogether. */
  changed(collection?: string, ids?: Iterable<string>, isReset?: boolean): void;
  /** The user may not see this channel any more: everything of it is forgotten. */
  purge(): void;
  /** Writes what is not written, and from then on nothing. */
  close(): void;
}

/** What keeps a client on the device. */
export interface ClientStorage {
  readonly state: Store<StorageSnapshot>;
  /** The token's `sub` whose data this is. */
  readonly user: string;
  /** Begins, if it has not: until then nothing is opened. */
  open(): void;
  channel(key: string, source: KeeperSource): ChannelKeeper;
  close(): void;
  /** Forgets everything, in all tabs. After `close`. */
  clear(): Promise<void>;
}

/** What the option `storage` is; `offline()` makes one. Opens nothing. */
export type StorageFactory = (client: RealtimeClient, platform: Platform) => ClientStorage;
