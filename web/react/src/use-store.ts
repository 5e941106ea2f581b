import type { Channel, Store } from "@chorale/client";
import { useInsertionEffect, useMemo, useRef, useSyncExternalStore } from "react";
import { type ClaimKey, claimedStore } from "./claims.ts";
import { useRealtimeContext } from "./context.ts";

/** The value of a store. `onServer` is what the server renders and the browser hydrates: a constant. */
export function useStore<T>(store: Store<T>, onServer: T): T {
  return useSyncExternalStore(store.subscribe, store.getSnapshot, () => onServer);
}

/**
 * The value of a store of a channel, which is held while the component is mounted. `pick` and `fallback` decide when the component
 * subscribes anew: keep them outside of it, or memoised.
 */
export function useChannelStore<T>(key: ClaimKey | undefined, pick: (channel: Channel) => Store<T>, fallback: T): T {
  const { claims } = useRealtimeContext();
  const store = useMemo(() => claimedStore(claims, key, pick, fallback), [claims, key, pick, fallback]);
  return useStore(store, fallback);
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
