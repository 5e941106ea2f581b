/** The device as browsers have it. Nothing else of the offline entry and of the tabs entry looks at it. */

/** What these entries take from outside. Each part may be missing; what is missing is done without. */
export interface Device {
  readonly indexedDB?: IDBFactory | undefined;
  /** Tells which tabs live, and makes one of them the leader. Pages from plain http have none, but for localhost. */
  readonly locks?: Pick<LockManager, "request" | "query"> | undefined;
  /** Reaches the other tabs. */
  openBroadcast?(name: string): BroadcastLike;
  /** How much is used and may be used, in bytes. */
  estimate?(): Promise<{ readonly usage?: number; readonly quota?: number }>;
  /** Asks that what is kept is not evicted when the device runs short of space. */
  persist?(): Promise<unknown>;
}

export type BroadcastLike = Pick<BroadcastChannel, "postMessage" | "close" | "onmessage">;

/** The browser's, as far as it has it. */
export function createDevice(): Device {
  const { storage, locks } = (typeof navigator === "undefined" ? {} : navigator) as Partial<Navigator>;
  return {
    indexedDB: typeof indexedDB === "undefined" ? undefined : indexedDB,
    locks,
    ...(typeof BroadcastChannel !== "undefined" && { openBroadcast: (name) => new BroadcastChannel(name) }),
    ...(storage?.estimate && { estimate: () => storage.estimate() }),
    ...(storage?.persist && { persist: () => storage.persist() }),
  };
}
