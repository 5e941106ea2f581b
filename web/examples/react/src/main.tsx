import { RealtimeProvider } from "@chorale/react";
import { lazy, StrictMode, Suspense } from "react";
import { createRoot } from "react-dom/client";
import { Board } from "./board.tsx";

const Devtools = lazy(async () => ({ default: (await import("@chorale/react/devtools")).RealtimeDevtools }));

const name = new URLSearchParams(window.location.search).get("as") ?? "Somebody";

/** A guest of a server in dev mode. Elsewhere your backend signs the token. */
async function guestToken(): Promise<string> {
  const response = await fetch("/dev/token", { method: "POST", body: JSON.stringify({ name }) });
  if (!response.ok) throw new Error(`no guest token: HTTP ${response.status}`);
  const { token }: { token: string } = await response.json();
  return token;
}

const root = document.getElementById("root");
if (!root) throw new Error("index.html has no element with the id root");
createRoot(root).render(
  <StrictMode>
    <RealtimeProvider url={window.location.origin} getToken={guestToken}>
      <Board name={name} />
      {import.meta.env.DEV && (
        <Suspense>
          <Devtools />
        </Suspense>
      )}
    </RealtimeProvider>
  </StrictMode>,
);
