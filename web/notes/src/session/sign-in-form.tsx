import { type FormEvent, useState } from "react";
import { Button } from "../ui/button.tsx";
import { Field, TextArea } from "../ui/field.tsx";
import type { Session } from "./session.ts";

/** Takes a token that somebody pastes. */
export function SignInForm({ session, onDone }: { session: Session; onDone?: () => void }) {
  const [token, setToken] = useState("");
  const [error, setError] = useState("");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    try {
      session.signIn(token);
      onDone?.();
    } catch (refusal) {
      setError(refusal instanceof Error ? refusal.message : String(refusal));
    }
  };
  return (
    <form onSubmit={submit} className="space-y-4">
      <Field label="Token" hint="A JSON Web Token. It stays in this tab.">
        <TextArea
          required
          spellCheck={false}
          value={token}
          onChange={(event) => setToken(event.target.value)}
          className="max-h-40 break-all font-mono text-xs"
        />
      </Field>
      {error && (
        <p role="alert" className="rounded-lg bg-danger-soft px-3 py-2 text-sm text-danger">
          {error}
        </p>
      )}
      <Button look="primary" type="submit" className="w-full">
        Sign in
      </Button>
    </form>
  );
}
