import type { Channel, Store } from "@chorale/client";
import type { Claim, ClaimKey, Claims } from "./claims.ts";

/** Where in a claim a value is. For one claim both answer with stores of the same values. */
export interface Source<T> {
  /** For effects: may ask the server for what is not there yet. */
  open(claim: Claim): Store<T>;
  /** For rendering: undefined when nobody has opened it. */
  peek(claim: Claim): Store<T> | undefined;
}

/** What a channel has from the start. */
export function ofChannel<T>(pick: (channel: Channel) => Store<T>): Source<T> {
  return { open: ({ channel }) => pick(channel), peek: ({ channel }) => pick(channel) };
}

/** A store in a channel that is held for as long as somebody subscribes. It says `fallback` without a key, and before anybody holds it. */
export function claimedStore<T>(claims: Claims, key: ClaimKey | undefined, source: Source<T>, fallback: T): Store<T> {
  if (key === undefined) return { getSnapshot: () => fallback, subscribe: () => () => {} };
  // Outlives the subscription: a tree that React hides goes on showing what it showed.
  let newest: Store<T> | undefined;
  return {
    getSnapshot: () => {
      const claim = claims.peek(key);
      const store = (claim && source.peek(claim)) ?? newest;
      return store === undefined ? fallback : store.getSnapshot();
    },
    subscribe: (listener) => {
      const { claim, release } = claims.hold(key);
      newest = source.open(claim);
      const stop = newest.subscribe(listener);
      return () => {
        stop();
        release();
      };
    },
  };
}
