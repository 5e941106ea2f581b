import type { Channel, CollectionSnapshot, Rec, RecordShape, RecordStatus } from "@chorale/client";
import { useCallback } from "react";
import { type ChannelRef, claimKey } from "./claims.ts";
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
  const select = useCallback((snapshot: CollectionSnapshot<T>) => (id === undefined ? undefined : snapshot.byId.get(id)), [id]);
  return useSelected(ref, collection, select);
}

/** How the writes to one record stand; undefined when all have settled. Renders only when that changes. */
export function useRecordStatus(ref: ChannelRef, collection: string, id: string | undefined): RecordStatus | undefined {
  const select = useCallback(
    (snapshot: CollectionSnapshot<RecordShape>) => (id === undefined ? undefined : snapshot.status.get(id)),
    [id],
  );
  return useSelected(ref, collection, select);
}

function useSelected<T extends RecordShape, S>(
  ref: ChannelRef,
  collection: string,
  select: (snapshot: CollectionSnapshot<T>) => S | undefined,
): S | undefined {
  const pick = useCallback(
    (channel: Channel) => {
      const { subscribe, getSnapshot } = channel.collection<T>(collection).snapshot;
      return { subscribe, getSnapshot: () => select(getSnapshot()) };
    },
    [collection, select],
  );
  return useChannelStore<S | undefined>(claimKey(ref), pick, undefined);
}
