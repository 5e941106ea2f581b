import type { CollectionSnapshot, Rec, RecordShape, RecordStatus, Store } from "@chorale/client";
import { useMemo } from "react";
import type { Source } from "./claimed-store.ts";
import { type ChannelRef, claimKey } from "./claims.ts";
import { ofCollection } from "./use-collection.ts";
import { useChannelStore } from "./use-store.ts";

/**
 * One record, or undefined while it is not there (not loaded, deleted, never made, `id` undefined). The component renders only when
 * this record changes.
 */
export function useRecord<T extends RecordShape>(
  ref: ChannelRef,
  collection: string,
  id: string | undefined,
): Rec<T> | undefined {
  const source = useMemo(
    () => selected(ofCollection<T>(collection), ({ byId }) => (id === undefined ? undefined : byId.get(id))),
    [collection, id],
  );
  return useChannelStore(claimKey(ref), source, undefined);
}

/** How the writes to one record stand; undefined when all have settled. The component renders only when that changes. */
export function useRecordStatus(ref: ChannelRef, collection: string, id: string | undefined): RecordStatus | undefined {
  const source = useMemo(
    () => selected(ofCollection(collection), ({ status }) => (id === undefined ? undefined : status.get(id))),
    [collection, id],
  );
  return useChannelStore(claimKey(ref), source, undefined);
}

function selected<T extends RecordShape, S>(
  source: Source<CollectionSnapshot<T>>,
  select: (snapshot: CollectionSnapshot<T>) => S | undefined,
): Source<S | undefined> {
  const part = ({ subscribe, getSnapshot }: Store<CollectionSnapshot<T>>): Store<S | undefined> => ({
    subscribe,
    getSnapshot: () => select(getSnapshot()),
  });
  return {
    open: (claim) => part(source.open(claim)),
    peek: (claim) => {
      const whole = source.peek(claim);
      return whole && part(whole);
    },
  };
}
