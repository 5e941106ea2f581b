import type {
  ChoraleErrorLike,
  Collection,
  CollectionSnapshot,
  ConnectionSnapshot,
  Mutation,
  Patch,
  Rec,
  RecordShape,
  RecordStatus,
} from "@chorale/client";
import type { CheckedSnapshot, CollectionType } from "@chorale/client/schema";
import { useMemo } from "react";
import { useRealtimeContext } from "./context.ts";
import type { Source } from "./held-store.ts";
import { type ChannelRef, type CollectionRef, nameOf, type OpenedChannel, useOpening } from "./opened-channel.ts";
import { IDLE, STATUS } from "./use-channel.ts";
import { useConnection } from "./use-connection.ts";
import { NONE, useHeld, useWrites } from "./use-store.ts";

/** `T` is what the records are, `I` what may be written where a schema makes a difference. */
export interface UseCollection<T extends RecordShape, I extends RecordShape = T> {
  /** Every record that is not deleted, own pending writes included, ordered by id. */
  readonly records: readonly Rec<T>[];
  readonly byId: ReadonlyMap<string, Rec<T>>;
  /** Records with unsettled or refused writes. */
  readonly status: ReadonlyMap<string, RecordStatus>;
  /** True until the server's records are there. False without a channel, and when the server refused it. */
  readonly isLoading: boolean;
  /** True while the records are those that were kept on the device, and the server has not been heard yet. */
  readonly isStale: boolean;
  /**
   * Why nothing comes any more: the channel was refused, or the connection needs somebody. A loss that passes is `useConnection`'s to
   * tell.
   */
  readonly error: ChoraleErrorLike | undefined;

  /** Makes a record; the id is a new UUIDv7 unless given. Shown at once, as all writes are; and stable, as all functions are. */
  readonly add: (value: I & { id?: string }) => Mutation;
  readonly patch: (id: string, patch: Patch<I>, options?: { ifVersion?: number }) => Mutation;
  readonly delete: (id: string) => Mutation;
  /** Revives a deleted record, and may change it in the same write. */
  readonly restore: (id: string, patch?: Patch<I>) => Mutation;
  /** Forgets a refused write that the app has dealt with. */
  readonly dismiss: (id: string) => void;
}

/** A collection whose records are checked by its schema. */
export interface UseCheckedCollection<T extends RecordShape, I extends RecordShape = T>
  extends UseCollection<T, I>,
    Pick<CheckedSnapshot<T>, "invalid"> {}

const empty = (isLoading: boolean): CheckedSnapshot<never> =>
  Object.freeze({
    records: Object.freeze([]),
    byId: NONE,
    status: NONE,
    isLoading,
    isStale: false,
    invalid: NONE,
  });
const NOTHING = /* @__PURE__ */ empty(false);
export const LOADING = /* @__PURE__ */ empty(true);

/**
 * The records of a collection, live, and what can be done to them. A collection's type is made by `defineCollection` of
 * `@chorale/client/schema`, and checks what comes; without one, the caller says what the records are.
 *
 *     const { records, invalid, add } = useCollection("list:7", items);
 *     const { records, add } = useCollection<{ title: string; done: boolean }>("list:7", "items");
 *
 * The result is the same object until something in it changed, and so is each record.
 */
export function useCollection<T extends RecordShape, I extends RecordShape>(
  ref: ChannelRef,
  collection: CollectionType<T, I>,
): UseCheckedCollection<T, I>;
export function useCollection<T extends RecordShape>(ref: ChannelRef, collection: string): UseCollection<T>;
export function useCollection<T extends RecordShape>(
  ref: ChannelRef,
  collection: CollectionRef<T>,
): UseCollection<T> | UseCheckedCollection<T> {
  const { holds } = useRealtimeContext();
  const opening = useOpening(ref);
  const source = useMemo(() => collectionSource<T>(collection), [collection]);
  const snapshot = useHeld<OpenedChannel, CollectionSnapshot<T>>(opening, source, opening === undefined ? NOTHING : LOADING);
  const { status, error: refusal } = useHeld(opening, STATUS, IDLE);
  const stuck = useConnection(errorWhenStuck);
  const isGone = status === "refused" || status === "closed";
  const error = isGone ? refusal : opening && stuck;

  const write = useWrites(opening);
  const actions = useMemo(() => {
    const run = (op: string, act: (records: Collection<T>) => Mutation) =>
      write(`${op} in ${nameOf(collection)}`, (opened) => act(opened.open(collection)));
    return {
      add: (value: T & { id?: string }) => run("add", (records) => records.add(value)),
      patch: (id: string, patch: Patch<T>, options?: { ifVersion?: number }) =>
        run("patch", (records) => records.patch(id, patch, options)),
      delete: (id: string) => run("delete", (records) => records.delete(id)),
      restore: (id: string, patch?: Patch<T>) => run("restore", (records) => records.restore(id, patch)),
      dismiss: (id: string) => opening && holds.peek(opening)?.peek(collection)?.dismiss(id),
    };
  }, [holds, opening, collection, write]);

  const isLoading = snapshot.isLoading && !isGone;
  return useMemo(() => ({ ...snapshot, isLoading, error, ...actions }), [snapshot, isLoading, error, actions]);
}

/** Of a connection that does not come back by itself. */
export function errorWhenStuck({ status, error }: ConnectionSnapshot): ChoraleErrorLike | undefined {
  return status === "needs-auth" || status === "failed" ? error : undefined;
}

/** A collection's snapshot in a channel. */
export function collectionSource<T extends RecordShape>(
  collection: CollectionRef<T>,
): Source<OpenedChannel, CollectionSnapshot<T>> {
  return {
    open: (opened) => opened.open(collection).snapshot,
    peek: (opened) => opened.peek(collection)?.snapshot,
  };
}
