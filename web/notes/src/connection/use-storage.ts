import type { StorageSnapshot } from "@chorale/client";
import { useClient } from "@chorale/react";
import { useSyncExternalStore } from "react";

/** Whether what was written, and what was seen, survives a reload. */
export function useStorage(): StorageSnapshot {
  const { storage } = useClient();
  return useSyncExternalStore(storage.subscribe, storage.getSnapshot);
}
