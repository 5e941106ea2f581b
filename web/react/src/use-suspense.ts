import type { RealtimeClient, RecordShape, Store } from "@chorale/client";
import type { InterviewNotes } from "@chorale/client/notes";
import type { CollectionType } from "@chorale/client/schema";
import { useEffect, useMemo, useSyncExternalStore } from "react";
import { type Realtime, useRealtimeContext } from "./context.ts";
import type { Opening } from "./holds.ts";
import { type ChannelRef, type CollectionRef, type OpenedChannel, useOpening } from "./opened-channel.ts";
import { errorWhenStuck, type UseCheckedCollection, type UseCollection, useCollection } from "./use-collection.ts";
import {
  type InterviewNotesOptions,
  notesOpening,
  type UseInterviewNotes,
  useInterviewNotesRealtime,
} from "./use-interview-notes.ts";

/**
 * `useCollection` for a component below a `<Suspense>`: it renders when the server's records are there. Why they cannot come goes to
 * the error boundary as long as there is nothing to show; later it is in `error`.
 *
 * The boundary belongs below the provider, which would begin anew with each try. A server has no connection, so it renders the
 * boundary's fallback, and the browser goes on from there.
 */
export function useSuspenseCollection<T extends RecordShape, I extends RecordShape>(
  ref: ChannelRef,
  collection: CollectionType<T, I>,
): UseCheckedCollection<T, I>;
export function useSuspenseCollection<T extends RecordShape>(ref: ChannelRef, collection: string): UseCollection<T>;
export function useSuspenseCollection<T extends RecordShape>(
  ref: ChannelRef,
  collection: CollectionRef<T>,
): UseCollection<T> | UseCheckedCollection<T> {
  const result = useCollection<T>(ref, collection as string);
  useSuspended(
    useOpening(ref),
    collection,
    { ...result, isEmpty: result.records.length === 0 },
    (opened: OpenedChannel, client) => {
      const { snapshot } = opened.open(collection);
      const { status } = opened.channel;
      const isGone = () => ["refused", "closed"].includes(status.getSnapshot().status);
      return {
        stores: [snapshot, status, client.connection],
        isOver: () =>
          !snapshot.getSnapshot().isLoading || isGone() || errorWhenStuck(client.connection.getSnapshot()) !== undefined,
      };
    },
  );
  return result;
}

/** `useInterviewNotesRealtime` in the same way; with `initialNotes` it does not wait. */
export function useSuspenseInterviewNotes(
  interviewId: string | undefined,
  options: Omit<InterviewNotesOptions, "interviewId"> = {},
): UseInterviewNotes {
  const result = useInterviewNotesRealtime(interviewId, options);
  const opening = useMemo(() => (interviewId === undefined ? undefined : notesOpening(interviewId)), [interviewId]);
  useSuspended(opening, "notes", { ...result, isEmpty: result.notes.length === 0 }, ({ store }: InterviewNotes) => ({
    stores: [store],
    isOver: () => !store.getSnapshot().isLoading || store.getSnapshot().error !== undefined,
  }));
  return result;
}

/** How long what has come is held for a component that has yet to mount, in ms: rendering it may take a while, or may never end. */
const MOUNT_MS = 5_000;

interface Result {
  readonly isLoading: boolean;
  readonly isEmpty: boolean;
  readonly error: Error | undefined;
}

const never = () => () => {};

function useSuspended<T extends object>(
  opening: Opening<T> | undefined,
  what: unknown,
  { isLoading, isEmpty, error }: Result,
  begin: (opened: T, client: RealtimeClient) => Wait,
): void {
  const realtime = useRealtimeContext();
  const isServer = useSyncExternalStore(
    never,
    () => false,
    () => true,
  );
  // Mounted: from here on the hooks above hold what was waited for.
  useEffect(() => {
    const opened = opening && realtime.holds.peek(opening);
    if (opened) waits.get(opened)?.get(what)?.end();
  }, [realtime, opening, what]);
  if (!isEmpty || opening === undefined) return;
  if (error) throw error;
  if (!isLoading) return;
  if (isServer) throw new Error("A server has no records to render: the nearest Suspense boundary shows its fallback");
  throw waitFor(realtime, opening, what, begin).over;
}

/** What has to be looked at until a wait is over. */
interface Wait {
  readonly stores: readonly Store<unknown>[];
  isOver(): boolean;
}

interface Waiting {
  readonly over: Promise<void>;
  /** Gives back what is waited for. Idempotent. */
  end(): void;
}

/**
 * Waits in what was opened, by what of it they wait for: a component that suspends is rendered anew, and may be thrown away, at any
 * time.
 */
const waits = /* @__PURE__ */ new WeakMap<object, Map<unknown, Waiting>>();

function waitFor<T extends object>(
  { client, holds }: Realtime,
  opening: Opening<T>,
  what: unknown,
  begin: (opened: T, client: RealtimeClient) => Wait,
): Waiting {
  const { opened, release } = holds.hold(opening);
  const here = waits.get(opened) ?? new Map<unknown, Waiting>();
  waits.set(opened, here);
  const known = here.get(what);
  if (known) {
    release();
    return known;
  }
  const over = watch(begin(opened, client));
  const waiting: Waiting = {
    over,
    end: () => {
      here.delete(what);
      release();
    },
  };
  here.set(what, waiting);
  void over.then(() => setTimeout(waiting.end, MOUNT_MS));
  return waiting;
}

function watch({ stores, isOver }: Wait): Promise<void> {
  return new Promise((resolve) => {
    const look = () => {
      if (!isOver()) return;
      for (const stop of stops) stop();
      resolve();
    };
    const stops = stores.map((store) => store.subscribe(look));
    look();
  });
}
