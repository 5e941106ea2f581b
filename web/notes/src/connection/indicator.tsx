import { useConnection, useRealtime } from "@chorale/react";
import { useState } from "react";
import type { Session } from "../session/session.ts";
import { SignInForm } from "../session/sign-in-form.tsx";
import { Button } from "../ui/button.tsx";
import { Dialog } from "../ui/dialog.tsx";
import { useNow } from "../ui/use-now.ts";
import { type ConnectionText, describeConnection, describeStorage } from "./describe.ts";
import { useStorage } from "./use-storage.ts";

const TONES: Readonly<Record<ConnectionText["tone"], { dot: string; box: string }>> = {
  good: { dot: "bg-accent", box: "text-muted" },
  waiting: { dot: "bg-amber animate-beat", box: "bg-amber-soft text-amber" },
  bad: { dot: "bg-danger", box: "bg-danger-soft text-danger" },
};

/** The truth about the wire, and what can be done about it. */
export function ConnectionIndicator({ session }: { session: Session }) {
  const connection = useConnection();
  const { pendingCount, reconnect } = useRealtime();
  const storage = useStorage();
  const now = useNow(250, connection.retryAt !== undefined);
  const { tone, label, summary, offers } = describeConnection(connection, pendingCount, now, storage);
  const { dot, box } = TONES[tone];
  return (
    <div className={`flex min-h-8 min-w-0 items-center gap-2 rounded-2xl px-2.5 py-1 text-xs leading-4 ${box}`}>
      <span aria-hidden="true" className={`size-2 shrink-0 rounded-full ${dot}`} />
      <span role="status" className="sr-only">
        {summary}
      </span>
      <span
        aria-hidden="true"
        data-testid="connection"
        data-status={connection.status}
        data-storage={storage.mode}
        title={connection.error?.message ?? describeStorage(storage)}
        className="min-w-0 tabular-nums"
      >
        {label}
      </span>
      {offers === "try-now" && (
        <Button
          look="link"
          onClick={reconnect}
          className="ml-auto shrink-0 whitespace-nowrap text-xs text-current hover:text-current"
        >
          Try now
        </Button>
      )}
      {offers === "sign-in" && <SignInAgain session={session} />}
    </div>
  );
}

/** A guest gets a new token without being asked; who brought one brings another. */
function SignInAgain({ session }: { session: Session }) {
  const { reconnect } = useRealtime();
  const [isAsking, setAsking] = useState(false);
  const signIn = () => {
    session.renew().then(reconnect, () => setAsking(true));
  };
  const done = () => {
    setAsking(false);
    reconnect();
  };
  return (
    <>
      <Button
        look="link"
        onClick={signIn}
        className="ml-auto shrink-0 whitespace-nowrap text-xs text-current hover:text-current"
      >
        Sign in
      </Button>
      {isAsking && (
        <Dialog title="Sign in again" onClose={() => setAsking(false)}>
          <p className="mb-4 text-sm text-muted">Your unsent edits are kept, and go out once you are back.</p>
          <SignInForm session={session} onDone={done} />
        </Dialog>
      )}
    </>
  );
}
