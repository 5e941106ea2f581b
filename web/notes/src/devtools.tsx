import { lazy, Suspense, useEffect, useState } from "react";

const Panel = lazy(async () => ({ default: (await import("@chorale/react/devtools")).RealtimeDevtools }));

/** The SDK's inspector, loaded when somebody asks for it: by `?devtools` in the address, or by its own key, Alt + Shift + D. */
export function Devtools({ isWanted }: { isWanted: boolean }) {
  const [isLoaded, setLoaded] = useState(isWanted);
  useEffect(() => {
    if (isLoaded) return;
    const onKey = (event: KeyboardEvent) => {
      if (event.altKey && event.shiftKey && event.code === "KeyD") setLoaded(true);
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, [isLoaded]);
  if (!isLoaded) return null;
  return (
    <Suspense>
      <Panel initiallyOpen />
    </Suspense>
  );
}
