import { type FormEvent, useState } from "react";
import { Button } from "../ui/button.tsx";
import type { Identity, Session } from "./session.ts";

/** Longest name; the schema says the same of an author's. */
const MAX_NAME = 80;

/** A strip for guests who have no name of their own yet. */
export function Welcome({ session, identity }: { session: Session; identity: Identity }) {
  const [name, setName] = useState("");
  if (identity.isNamed) return null;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    session.rename(name.trim() || identity.name);
  };
  return (
    <form
      onSubmit={submit}
      className="flex flex-wrap items-center gap-x-3 gap-y-2 border-b border-line bg-accent-soft px-4 py-2 text-sm sm:px-6"
    >
      <label htmlFor="welcome-name" className="grow basis-full sm:basis-52">
        Welcome. The others see you as <strong className="font-semibold">{identity.name}</strong>.
      </label>
      <input
        id="welcome-name"
        data-testid="welcome-name"
        value={name}
        maxLength={MAX_NAME}
        onChange={(event) => setName(event.target.value)}
        placeholder="Your name"
        autoComplete="name"
        className="h-9 w-40 min-w-0 grow rounded-lg border border-line-strong bg-surface px-3 sm:grow-0"
      />
      <Button look="primary" type="submit">
        {name.trim() ? "Use this name" : "Keep it"}
      </Button>
    </form>
  );
}
