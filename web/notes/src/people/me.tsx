import { useRealtime } from "@chorale/react";
import { type FormEvent, useState } from "react";
import type { Identity, Session } from "../session/session.ts";
import { Button } from "../ui/button.tsx";
import { Dialog } from "../ui/dialog.tsx";
import { Field, TextInput } from "../ui/field.tsx";
import { Avatar } from "./avatar.tsx";

interface MeProps {
  session: Session;
  identity: Identity;
  isSmall?: boolean;
}

/** Who the others see here, and the way to change it. */
export function Me({ session, identity, isSmall = false }: MeProps) {
  const [isOpen, setOpen] = useState(false);
  return (
    <>
      <button
        type="button"
        data-testid="me"
        data-sub={identity.sub}
        aria-label={`You are ${identity.name}. Change your name`}
        title="Change your name"
        onClick={() => setOpen(true)}
        className="flex min-w-0 items-center gap-2.5 rounded-lg p-1.5 text-sm hover:bg-line/60 pointer-coarse:min-h-10"
      >
        <Avatar sub={identity.sub} name={identity.name} />
        {!isSmall && <span className="truncate font-medium">{identity.name}</span>}
      </button>
      {isOpen && <NameDialog session={session} name={identity.name} onClose={() => setOpen(false)} />}
    </>
  );
}

/** Leaves nothing on the device, neither what was seen nor what was not sent: for whoever comes next. */
function SignOut({ session }: { session: Session }) {
  const { client, pendingCount } = useRealtime();
  const [isLeaving, setLeaving] = useState(false);
  const leave = () => {
    setLeaving(true);
    client.clear().finally(() => session.signOut());
  };
  return (
    <div className="mt-5 border-t border-line pt-4 text-sm text-muted">
      {pendingCount > 0 && <p className="mb-2 text-danger">Edits that were not sent yet will be lost: {pendingCount}.</p>}
      <Button look="link" data-testid="sign-out" onClick={leave} disabled={isLeaving}>
        Sign out, and forget everything on this device
      </Button>
    </div>
  );
}

function NameDialog({ session, name, onClose }: { session: Session; name: string; onClose: () => void }) {
  const [text, setText] = useState(name);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (text.trim() !== "") session.rename(text.trim());
    onClose();
  };
  return (
    <Dialog title="Your name" onClose={onClose}>
      <form onSubmit={submit} className="space-y-4">
        <Field label="Name" hint="New notes carry it. To be a second person, open this page with ?as=Name in another window.">
          <TextInput maxLength={80} value={text} onChange={(event) => setText(event.target.value)} autoComplete="name" />
        </Field>
        <Button look="primary" type="submit" className="w-full">
          Save
        </Button>
      </form>
      <SignOut session={session} />
    </Dialog>
  );
}
