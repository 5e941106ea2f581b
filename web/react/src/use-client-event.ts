import type { ClientEvents, Conflict } from "@chorale/client";
import { useEffect } from "react";
import { useRealtimeContext } from "./context.ts";
import { useLatest } from "./use-store.ts";

/** Listens to an event of the client while mounted. The listener may be a new function in each render. */
export function useClientEvent<E extends keyof ClientEvents>(event: E, listener: (detail: ClientEvents[E]) => void): void {
  const { client } = useRealtimeContext();
  const latest = useLatest(listener);
  useEffect(() => client.on(event, (detail) => latest.current(detail)), [client, event, latest]);
}

/** Hears of each concurrent write that won over one of this client's, with both values. */
export function useConflicts(listener: (conflict: Conflict) => void): void {
  useClientEvent("conflict", listener);
}
