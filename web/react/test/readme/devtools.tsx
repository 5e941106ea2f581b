import { RealtimeProvider } from "@chorale/react";
import { lazy, type ReactNode, Suspense } from "react";

const Devtools = lazy(async () => ({ default: (await import("@chorale/react/devtools")).RealtimeDevtools }));

export function Frame({ isDev, getToken, children }: { isDev: boolean; getToken: () => Promise<string>; children: ReactNode }) {
  return (
    <RealtimeProvider url="http://127.0.0.1:4000" getToken={getToken}>
      {children}
      {isDev && (
        <Suspense>
          <Devtools />
        </Suspense>
      )}
    </RealtimeProvider>
  );
}
