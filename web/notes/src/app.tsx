import { offline } from "@chorale/client/offline";
import { shareSocket } from "@chorale/client/tabs";
import { RealtimeProvider } from "@chorale/react";
import { useMemo } from "react";
import { Devtools } from "./devtools.tsx";
import { HistorySourceContext } from "./history/source.ts";
import { KeptFailuresProvider } from "./note/kept-failures.tsx";
import { SessionGate } from "./session/gate.tsx";
import type { Session } from "./session/session.ts";
import { Shell } from "./shell.tsx";
import { ToastProvider } from "./toast/toast.tsx";

/** All tabs of this browser have one socket, whoever is signed in in each. */
const platform = shareSocket();

/** The app: who we are, the connection for that, and the pages. */
export function App({ session, url, devtools }: { session: Session; url: string; devtools: boolean }) {
  const source = useMemo(() => ({ url, getToken: session.getToken }), [url, session]);
  return (
    <SessionGate session={session}>
      {(identity) => (
        <RealtimeProvider
          key={identity.sub}
          url={url}
          getToken={session.getToken}
          platform={platform}
          storage={offline({ user: identity.sub, app: "notes" })}
        >
          <ToastProvider>
            <KeptFailuresProvider>
              <HistorySourceContext value={source}>
                <Shell session={session} identity={identity} />
              </HistorySourceContext>
            </KeptFailuresProvider>
          </ToastProvider>
          <Devtools isWanted={devtools} />
        </RealtimeProvider>
      )}
    </SessionGate>
  );
}
