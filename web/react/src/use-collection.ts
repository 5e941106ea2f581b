import type {
  ChoraleErrorLike,
  Collection,
  CollectionSnapshot,
  Mutation,
  Patch,
  Rec,
  RecordShape,
  RecordStatus,
} from "@chorale/client";
import { useMemo } from "react";
import type { Source } from "./claimed-store.ts";
import { type ChannelRef, type ClaimKey, type Claims, claimKey } from "./claims.ts";
import { useRealtimeContext } from "./context.ts";
import { IDLE, STATUS } from "./use-channel.ts";
import { useChannelStore } from "./use-store.ts";

/** What can be done to a collection. Each write is shown at once, and holds the channel until it has settled. All are stable. */
export interface CollectionActions<T extends RecordShape> {
  /** Makes a record; the id is a new UUIDv7 unless given. */
  readonly add: (value: T & { id?: string }) => Mutation;
  readonly patch: (id: string, patch: Patch<T>, options?: { ifVersion?: number }) => Mutation;
  readonly delete: (id: string) => Mutation;
  /** Revives a deleted record, and may change it in the same write. */
  readonly restore: (id: string, patch?: Patch<T>) => Mutation;
  /** Forgets a refused write that the app has dealt with. */
  readonly dismiss: (id: string) => void;
}

export interface UseCollection<T extends RecordShape> extends CollectionActions<T> {
  /** Every record that is not deleted, own pending writes included, ordered by id. */
  readonly records: readonly Rec<T>[];
  readonly byId: ReadonlyMap<string, Rec<T>>;
  /** Records with unsettled or refused writes. */
  readonly status: ReadonlyMap<string, RecordStatus>;
  /** True until the server's records are there. False without a channel, and when the server refused it. */
  readonly isLoading: boolean;
  /** Why there is nothing to see, when the channel was refused. */
  readonly error: ChoraleErrorLike | undefined;
}

const empty = (isLoading: boolean): CollectionSnapshot<never> =>
  Object.freeze({ records: Object.freeze([]), byId: new Map<string, never>(), status: new Map<string, never>(), isLoading });
const NOTHING = empty(false);
const LOADING = empty(true);

/**
 * The records of a collection, live, and what can be done to them.
 *
 *     const { records, add } = useCollection<{ title: string; done: boolean }>("list:7", "items");
 *
 * The result is the same object until something in it changed, and so is each record.
 */
export function useCollection<T extends RecordShape>(ref: ChannelRef, collection: string): UseCollection<T> {
  const { claims } = useRealtimeContext();
  const key = claimKey(ref);
  const source = useMemo(() => ofCollection<T>(collection), [collection]);
  const snapshot = useChannelStore<CollectionSnapshot<T>>(key, source, key === undefined ? NOTHING : LOADING);
  const { status, error } = useChannelStore(key, STATUS, IDLE);
  const actions = useMemo(() => collectionActions<T>(claims, key, collection), [claims, key, collection]);
  return useMemo(() => {
    const isLoading = snapshot.isLoading && status !== "refused" && status !== "closed";
    return { ...snapshot, isLoading, error, ...actions };
  }, [snapshot, status, error, actions]);
}

/** A collection's snapshot in a claim. */
export function ofCollection<T extends RecordShape>(collection: string): Source<CollectionSnapshot<T>> {
  return {
    open: (claim) => claim.open<T>(collection).snapshot,
    peek: (claim) => claim.opened<T>(collection)?.snapshot,
  };
}

function collectionActions<T extends RecordShape>(
  claims: Claims,
  key: ClaimKey | undefined,
  collection: string,
): CollectionActions<T> {
  const write = (op: string, act: (records: Collection<T>) => Mutation): Mutation => {
    if (key === undefined) throw new Error(`${op} in ${collection}: there is no channel yet`);
    return claims.during(
      key,
      (claim) => act(claim.open<T>(collection)),
      (mutation) => mutation.settled,
    );
  };
  return {
    add: (value) => write("add", (records) => records.add(value)),
    patch: (id, patch, options) => write("patch", (records) => records.patch(id, patch, options)),
    delete: (id) => write("delete", (records) => records.delete(id)),
    restore: (id, patch) => write("restore", (records) => records.restore(id, patch)),
    dismiss: (id) => {
      if (key !== undefined) claims.peek(key)?.opened(collection)?.dismiss(id);
    },
  };
}
