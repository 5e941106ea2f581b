import { useRealtime } from "@chorale/react";
import { useEffect } from "react";

/** Lets the browser ask before it closes a tab whose writes have not all settled. */
export function useUnsavedGuard(): void {
  const { pendingCount } = useRealtime();
  const isUnsaved = pendingCount > 0;
  useEffect(() => {
    if (!isUnsaved) return;
    const ask = (event: BeforeUnloadEvent) => event.preventDefault();
    window.addEventListener("beforeunload", ask);
    return () => window.removeEventListener("beforeunload", ask);
  }, [isUnsaved]);
}
