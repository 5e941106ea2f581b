import type { Store } from "@chorale/client";
import type { Holds, Opening } from "./holds.ts";

/** Where in something opened a value is. For one such thing both answer with stores of the same values. */
export interface Source<T, V> {
  /** For effects: may ask the server for what is not there yet. */
  open(opened: T): Store<V>;
  /** For rendering: undefined when nobody has asked for it. */
  peek(opened: T): Store<V> | undefined;
}

/** A store that is there from the start. */
export function sourceOf<T, V>(pick: (opened: T) => Store<V>): Source<T, V> {
  return { open: pick, peek: pick };
}

/** A store in something that is held for as long as anybody subscribes. Until anybody holds it, and without an opening, it says `fallback`. */
export function heldStore<T, V>(holds: Holds, opening: Opening<T> | undefined, source: Source<T, V>, fallback: V): Store<V> {
  if (opening === undefined) return { getSnapshot: () => fallback, subscribe: () => () => {} };
  // Outlives the subscription: a tree that React hides goes on showing what it showed.
  let newest: Store<V> | undefined;
  return {
    getSnapshot: () => {
      const opened = holds.peek(opening);
      const store = (opened && source.peek(opened)) ?? newest;
      return store === undefined ? fallback : store.getSnapshot();
    },
    subscribe: (listener) => {
      const { opened, release } = holds.hold(opening);
      newest = source.open(opened);
      const stop = newest.subscribe(listener);
      return () => {
        stop();
        release();
      };
    },
  };
}
