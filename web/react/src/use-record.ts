import type { CollectionSnapshot, Rec, RecordShape, RecordStatus, Store } from "@chorale/client";
import { useMemo } from "react";
import type { Source } from "./held-store.ts";
import { type ChannelRef, type OpenedChannel, useOpening } from "./opened-channel.ts";
import { collectionSource } from "./use-collection.ts";
import { useHeld } from "./use-store.ts";

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
    () => part(collectionSource<T>(collection), ({ byId }) => (id === undefined ? undefined : byId.get(id))),
    [collection, id],
  );
  return useHeld(useOpening(ref), source, undefined);
}

/** How the writes to one record stand; undefined when all have settled. The component renders only when that changes. */
export function useRecordStatus(ref: ChannelRef, collection: string, id: string | undefined): RecordStatus | undefined {
  const source = useMemo(
    () => part(collectionSource(collection), ({ status }) => (id === undefined ? undefined : status.get(id))),
    [collection, id],
  );
  return useHeld(useOpening(ref), source, undefined);
}

function part<T extends RecordShape, S>(
  whole: Source<OpenedChannel, CollectionSnapshot<T>>,
  select: (snapshot: CollectionSnapshot<T>) => S | undefined,
): Source<OpenedChannel, S | undefined> {
  const selected = ({ subscribe, getSnapshot }: Store<CollectionSnapshot<T>>): Store<S | undefined> => ({
    subscribe,
    getSnapshot: () => select(getSnapshot()),
  });
  return {
    open: (opened) => selected(whole.open(opened)),
    peek: (opened) => {
      const store = whole.peek(opened);
      return store && selected(store);
    },
  };
}
