/** Stands where the records of a channel are, in clients that were made without collections. */
import type { ChannelStore } from "./collection/seam";
import { ChoraleError } from "./errors";
import { ValueStore } from "./store";

export function withoutCollections(): ChannelStore {
  const nothing = () => {};
  return {
    names: () => [],
    loaded: () => [],
    collection: (name) => {
      throw new ChoraleError("no_collections", `collection ${name}: make the client with createRealtimeClient`);
    },
    pendingCount: new ValueStore(0, nothing), // never changes: nobody is told, and nothing can go wrong
    told: () => new Map(),
    restore: nothing,
    adopt: nothing,
    onRecords: nothing,
    onChange: nothing,
    onSynced: nothing,
    onDown: nothing,
    onClosed: nothing,
  };
}
