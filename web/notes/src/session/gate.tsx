import { type ReactNode, useState, useSyncExternalStore } from "react";
import { Button } from "../ui/button.tsx";
import { Empty } from "../ui/empty.tsx";
import type { Identity, Session } from "./session.ts";
import { SignInForm } from "./sign-in-form.tsx";

/** Lets nobody through without a token, and shows what is missing. */
export function SessionGate({ session, children }: { session: Session; children: (identity: Identity) => ReactNode }) {
  const state = useSyncExternalStore(session.subscribe, session.getSnapshot);
  switch (state.status) {
    case "starting":
      return <div className="h-full" aria-busy="true" />;
    case "ready":
      return children(state.identity);
    case "sign-in":
      return <SignInPage session={session} />;
    case "failed":
      return <Failed message={state.message} onRetry={() => session.start()} />;
    default:
      return state satisfies never;
  }
}

function SignInPage({ session }: { session: Session }) {
  return (
    <main className="flex min-h-full items-center justify-center p-4">
      <div className="w-full max-w-md rounded-2xl border border-line bg-surface p-6 shadow-raised sm:p-8">
        <h1 className="font-serif text-2xl">Interview notes</h1>
        <p className="mt-2 mb-6 text-sm text-muted">
          This server does not admit guests. Bring a token: your application makes one, and so does{" "}
          <code className="rounded bg-sunken px-1">chorale token</code>.
        </p>
        <SignInForm session={session} />
      </div>
    </main>
  );
}

function Failed({ message, onRetry }: { message: string; onRetry: () => Promise<void> }) {
  const [isTrying, setTrying] = useState(false);
  const retry = () => {
    setTrying(true);
    onRetry().finally(() => setTrying(false));
  };
  return (
    <main className="flex min-h-full items-center justify-center">
      <Empty
        title="The server does not answer"
        action={
          <Button look="primary" onClick={retry} disabled={isTrying}>
            {isTrying ? "Trying…" : "Try again"}
          </Button>
        }
      >
        Nothing was lost. It said: {message}.
      </Empty>
    </main>
  );
}
