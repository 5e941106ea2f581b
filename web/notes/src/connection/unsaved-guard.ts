import { useRealtime } from "@chorale/react";
import { useEffect } from "react";
import { useStorage } from "./use-storage.ts";

/** Lets the browser ask before it closes a tab whose writes would be lost: they have not all settled, and are not kept on the device. */
export function useUnsavedGuard(): void {
  const { pendingCount } = useRealtime();
  const { mode } = useStorage();
  const isUnsaved = pendingCount > 0 && mode !== "device";
  useEffect(() => {
    if (!isUnsaved) return;
    const ask = (event: BeforeUnloadEvent) => event.preventDefault();
    window.addEventListener("beforeunload", ask);
    return () => window.removeEventListener("beforeunload", ask);
  }, [isUnsaved]);
}
