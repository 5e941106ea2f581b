import type { CollectionSnapshot, Rec, RecordShape, RecordStatus } from "@chorale/client";
import type { CheckedSnapshot, CollectionType } from "@chorale/client/schema";
import { useMemo } from "react";
import { type ChannelRef, type CollectionRef, type OpenedChannel, useOpening } from "./opened-channel.ts";
import { collectionSource, LOADING } from "./use-collection.ts";
import { useHeldSelection } from "./use-store.ts";

/**
 * What `select` makes of a collection: a count, some of the records, their ids. The component renders only when that is another value,
 * or an array or object with other parts:
 *
 *     const open = useRecords(channel, tasks, ({ records }) => records.filter((task) => !task.done));
 */
export function useRecords<T extends RecordShape, I extends RecordShape, S>(
  ref: ChannelRef,
  collection: CollectionType<T, I>,
  select: (snapshot: CheckedSnapshot<T>) => S,
): S;
export function useRecords<T extends RecordShape, S>(
  ref: ChannelRef,
  collection: string,
  select: (snapshot: CollectionSnapshot<T>) => S,
): S;
export function useRecords(ref: ChannelRef, collection: CollectionRef<RecordShape>, select: Select): unknown {
  const source = useMemo(() => collectionSource(collection), [collection]);
  const selected = select as (snapshot: CollectionSnapshot<RecordShape>) => unknown;
  return useHeldSelection<OpenedChannel, CollectionSnapshot<RecordShape>, unknown>(useOpening(ref), source, LOADING, selected);
}

/** Of which type the snapshot is, the overloads know. */
type Select = (snapshot: never) => unknown;

/**
 * One record, or undefined while it is not there (not loaded, deleted, never made, not of its type, `id` undefined). The component
 * renders only when this record changes.
 */
export function useRecord<T extends RecordShape, I extends RecordShape>(
  ref: ChannelRef,
  collection: CollectionType<T, I>,
  id: string | undefined,
): Rec<T> | undefined;
export function useRecord<T extends RecordShape>(
  ref: ChannelRef,
  collection: string,
  id: string | undefined,
): Rec<T> | undefined;
export function useRecord(ref: ChannelRef, collection: CollectionRef<RecordShape>, id = ""): Rec<RecordShape> | undefined {
  return useRecords(ref, collection as string, ({ byId }) => byId.get(id));
}

/** How the writes to one record stand; undefined when all have settled. The component renders only when that changes. */
export function useRecordStatus(
  ref: ChannelRef,
  collection: CollectionRef<never>,
  id: string | undefined,
): RecordStatus | undefined {
  return useRecords(ref, collection as string, ({ status }) => status.get(id ?? ""));
}
