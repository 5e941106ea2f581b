import type { RecordShape } from "@chorale/client";
import { createUndo, type Undo, type Undone, type UndoOptions, type UndoState } from "@chorale/client/undo";
import { useMemo } from "react";
import { useRealtimeContext } from "./context.ts";
import { sourceOf } from "./held-store.ts";
import type { Opening } from "./holds.ts";
import { type ChannelRef, type CollectionRef, nameOf, type OpenedChannel, useOpening } from "./opened-channel.ts";
import { useHeld } from "./use-store.ts";

export interface UseUndo extends UndoState {
  /** Takes back the newest step, and says what was left as it is. Undefined when there is none. Stable, as all functions are. */
  readonly undo: () => Undone | undefined;
  /** Does again what was taken back last. */
  readonly redo: () => Undone | undefined;
  /** Makes all writes in `act`, until it returns, one step. */
  readonly group: <R>(act: () => R) => R;
  /** Writes in `act`, until it returns, cannot be taken back. */
  readonly untracked: <R>(act: () => R) => R;
  /** Forgets all steps. */
  readonly clear: () => void;
}

const NEITHER: UndoState = /* @__PURE__ */ Object.freeze({ canUndo: false, canRedo: false });
const STATE = /* @__PURE__ */ sourceOf(({ undo }: Held) => undo.state);

const run = <R>(act: () => R): R => act();

interface Held {
  readonly undo: Undo;
  readonly opened: OpenedChannel;
}

/**
 * Undo and redo of what this client writes to a collection of a channel, or to several: by whichever hook or function.
 *
 *     const { undo, redo, canUndo, canRedo } = useUndo("list:7", "items");
 *
 * Components that name the same channel and collections share the steps, which last for as long as one of them is mounted. The options
 * are read by the first. What others have written is left as it is; `undo()` says so.
 */
export function useUndo<T extends RecordShape>(
  ref: ChannelRef,
  collections: CollectionRef<T> | readonly CollectionRef<T>[],
  options: UndoOptions = {},
): UseUndo {
  const { holds } = useRealtimeContext();
  const channel = useOpening(ref);
  const all = Array.isArray(collections) ? (collections as readonly CollectionRef<T>[]) : [collections as CollectionRef<T>];
  const names = JSON.stringify(all.map(nameOf));
  const { limit, captureMs } = options;
  const opening = useMemo(
    () => channel && undoOpening(channel, JSON.parse(names), { limit, captureMs }),
    [channel, names, limit, captureMs],
  );
  const state = useHeld(opening, STATE, NEITHER);
  const actions = useMemo(() => {
    const held = () => opening && holds.peek(opening)?.undo;
    return {
      undo: () => held()?.undo(),
      redo: () => held()?.redo(),
      group: <R>(act: () => R): R => (held()?.group ?? run)(act),
      untracked: <R>(act: () => R): R => (held()?.untracked ?? run)(act),
      clear: () => held()?.clear(),
    };
  }, [holds, opening]);
  return useMemo(() => ({ ...state, ...actions }), [state, actions]);
}

function undoOpening(
  channel: Opening<OpenedChannel>,
  names: readonly string[],
  { limit, captureMs }: { limit: number | undefined; captureMs: number | undefined },
): Opening<Held> {
  return {
    key: `undo ${names.join(" ")} ${channel.key}`,
    open: (client) => {
      const opened = channel.open(client);
      const collections = names.map((name) => opened.open(name));
      const options = { ...(limit !== undefined && { limit }), ...(captureMs !== undefined && { captureMs }) };
      return { opened, undo: createUndo(collections, options) };
    },
    close: ({ undo, opened }) => {
      undo.close();
      channel.close(opened);
    },
  };
}
