import type { Mutation, Store } from "@chorale/client";
import { useInsertionEffect, useMemo, useRef, useSyncExternalStore } from "react";
import { useRealtimeContext } from "./context.ts";
import { heldStore, type Source } from "./held-store.ts";
import type { Opening } from "./holds.ts";

/** The value of a store. `onServer` is what the server renders and the browser hydrates: a constant. */
export function useStore<V>(store: Store<V>, onServer: V): V {
  return useSyncExternalStore(store.subscribe, store.getSnapshot, () => onServer);
}

/**
 * A value in something that is held while the component is mounted. With another `opening`, `source` or `fallback` the component
 * subscribes anew: keep them outside of it, or memoised.
 */
export function useHeld<T, V>(opening: Opening<T> | undefined, source: Source<T, V>, fallback: V): V {
  const { holds } = useRealtimeContext();
  const store = useMemo(() => heldStore(holds, opening, source, fallback), [holds, opening, source, fallback]);
  return useStore(store, fallback);
}

/** Runs a write, and holds what it is written to until it has settled. `what` is for the error when there is nothing to write to. */
export type RunWrite<T> = (what: string, act: (opened: T) => Mutation) => Mutation;

/** A stable RunWrite. */
export function useWrites<T>(opening: Opening<T> | undefined): RunWrite<T> {
  const { holds } = useRealtimeContext();
  return useMemo(
    () => (what, act) => {
      if (opening === undefined) throw new Error(`${what}: there is no channel yet`);
      return holds.during(opening, act, (mutation) => mutation.settled);
    },
    [holds, opening],
  );
}

/** The newest value that was rendered, for callbacks that run later and must not change when it does. */
export function useLatest<T>(value: T): { readonly current: T } {
  const latest = useRef(value);
  // The earliest of the effects, and the only one before layout that the server's renderer of React 18 passes over silently.
  useInsertionEffect(() => {
    latest.current = value;
  });
  return latest;
}
