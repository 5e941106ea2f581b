import { useConnection, useRealtime } from "@chorale/react";

export function SignInBanner({ signIn }: { signIn: () => Promise<void> }) {
  const needsAuth = useConnection((connection) => connection.status === "needs-auth");
  const { reconnect } = useRealtime();
  if (!needsAuth) return null;
  return (
    <p role="alert">
      Your session has ended. What you wrote is kept.
      <button type="button" onClick={() => signIn().then(reconnect)}>
        Sign in
      </button>
    </p>
  );
}
