import type { Mutation, Store } from "@chorale/client";
import { useInsertionEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";
import { useRealtimeContext } from "./context.ts";
import { heldStore, type Source } from "./held-store.ts";
import type { Opening } from "./holds.ts";

/** What a snapshot shows before there is anything: no records, no statuses. */
export const NONE: ReadonlyMap<string, never> = /* @__PURE__ */ new Map<string, never>();

/** The value of a store. `onServer` is what the server renders and the browser hydrates: a constant. */
export function useStore<V>(store: Store<V>, onServer: V): V {
  return useSyncExternalStore(store.subscribe, store.getSnapshot, () => onServer);
}

/**
 * A value in something that is held while the component is mounted. With another `opening`, `source` or `fallback` the component
 * subscribes anew: keep them outside of it, or memoised.
 */
export function useHeld<T, V>(opening: Opening<T> | undefined, source: Source<T, V>, fallback: V): V {
  return useStore(useHeldStore(opening, source, fallback), fallback);
}

/** What `select` makes of such a value. */
export function useHeldSelection<T, V, S>(
  opening: Opening<T> | undefined,
  source: Source<T, V>,
  fallback: V,
  select: (value: V) => S,
): S {
  return useSelection(useHeldStore(opening, source, fallback), fallback, select);
}

function useHeldStore<T, V>(opening: Opening<T> | undefined, source: Source<T, V>, fallback: V): Store<V> {
  const { holds } = useRealtimeContext();
  return useMemo(() => heldStore(holds, opening, source, fallback), [holds, opening, source, fallback]);
}

/**
 * What `select` makes of a store's value. The component renders only when that is something else: another value, or an array or an
 * object with other parts. So `select` may filter and map, and may be a new function in each render.
 */
export function useSelection<V, S>(store: Store<V>, onServer: V, select: (value: V) => S): S {
  // A memory of what was made, so that what is made again may be recognised: which render wrote it makes no difference.
  const [memory] = useState<{ newest?: { readonly of: V; readonly by: unknown; readonly made: S } }>({});
  const read = (of: V): S => {
    const { newest } = memory;
    if (newest?.by === select && newest.of === of) return newest.made;
    const made = select(of);
    memory.newest = { of, by: select, made: newest && isSame(newest.made, made) ? newest.made : made };
    return memory.newest.made;
  };
  return useSyncExternalStore(
    store.subscribe,
    () => read(store.getSnapshot()),
    () => read(onServer),
  );
}

/** Whether two values are the same, or arrays or plain objects with the same parts. */
function isSame(a: unknown, b: unknown): boolean {
  const [before, after] = [partsOf(a), partsOf(b)];
  return before.length === after.length && before.every((part, nth) => Object.is(part, after[nth]));
}

function partsOf(value: unknown): readonly unknown[] {
  const kind = (value as object | null | undefined)?.constructor;
  return kind === Array || kind === Object ? [kind, ...Object.entries(value as object).flat()] : [value];
}

/** Runs a write, and holds what it is written to until it has settled. `what` is for the error when there is nothing to write to. */
export type RunWrite<T> = (what: string, act: (opened: T) => Mutation) => Mutation;

/** A stable RunWrite. */
export function useWrites<T>(opening: Opening<T> | undefined): RunWrite<T> {
  const { holds } = useRealtimeContext();
  return useMemo(
    () => (what, act) => {
      if (opening === undefined) throw new Error(`${what}: there is no channel`);
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
