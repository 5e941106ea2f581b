import type { Store } from "@chorale/client";
import { useInsertionEffect, useMemo, useRef, useSyncExternalStore } from "react";
import { claimedStore, type Source } from "./claimed-store.ts";
import type { ClaimKey } from "./claims.ts";
import { useRealtimeContext } from "./context.ts";

/** The value of a store. `onServer` is what the server renders and the browser hydrates: a constant. */
export function useStore<T>(store: Store<T>, onServer: T): T {
  return useSyncExternalStore(store.subscribe, store.getSnapshot, () => onServer);
}

/**
 * The value of a store of a channel, which is held while the component is mounted. With another `source` or `fallback` the
 * component subscribes anew: keep them outside of it, or memoised.
 */
export function useChannelStore<T>(key: ClaimKey | undefined, source: Source<T>, fallback: T): T {
  const { claims } = useRealtimeContext();
  const store = useMemo(() => claimedStore(claims, key, source, fallback), [claims, key, source, fallback]);
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
