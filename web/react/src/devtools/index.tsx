import { type Inspector, inspect } from "@chorale/client/devtools";
import { type ReactNode, type RefObject, useEffect, useRef, useState } from "react";
import { useClient } from "../use-client.ts";
import { useConnection } from "../use-connection.ts";
import { useLatest } from "../use-store.ts";
import { Panel } from "./panel.tsx";
import { Shadow } from "./shadow.tsx";

export interface RealtimeDevtoolsProps {
  /** Begin with the panel open. Default: only its handle is shown, at the edge of the page. */
  initiallyOpen?: boolean;
}

/**
 * A panel that looks into the provider's client: connection and its history, channels, unsettled writes, frames, conflicts and refusals;
 * and takes the network away, or makes it slow. Alt + Shift + D opens and closes it. It belongs below the provider, and into development:
 *
 *     const Devtools = lazy(async () => ({ default: (await import("@chorale/react/devtools")).RealtimeDevtools }));
 *     {import.meta.env.DEV && <Suspense><Devtools /></Suspense>}
 *
 * It sees what happens from its mount on. Frames are shown and kept without tokens, and are gone with the page.
 */
export function RealtimeDevtools({ initiallyOpen = false }: RealtimeDevtoolsProps): ReactNode {
  const client = useClient();
  const [inspector, setInspector] = useState<Inspector>();
  useEffect(() => {
    const begun = inspect(client);
    setInspector(begun);
    return () => begun.detach();
  }, [client]);

  const [isOpen, setOpen] = useState(initiallyOpen);
  const handle = useRef<HTMLButtonElement>(null);
  useShortcut(() => setOpen(!isOpen));
  const wasOpen = useRef(isOpen);
  useEffect(() => {
    if (wasOpen.current && !isOpen) handle.current?.focus();
    wasOpen.current = isOpen;
  }, [isOpen]);

  return (
    <Shadow>
      {isOpen && inspector ? (
        <Panel inspector={inspector} onClose={() => setOpen(false)} />
      ) : (
        <Handle handle={handle} onOpen={() => setOpen(true)} />
      )}
    </Shadow>
  );
}

function Handle({ handle, onOpen }: { handle: RefObject<HTMLButtonElement | null>; onOpen: () => void }) {
  const status = useConnection((connection) => connection.status);
  return (
    <button ref={handle} type="button" className="handle" onClick={onOpen} aria-label={`Chorale devtools: ${status}`}>
      <span className="dot" data-status={status} />
      Chorale
    </button>
  );
}

/** Before the page's own shortcuts, wherever the focus is. */
function useShortcut(act: () => void): void {
  const latest = useLatest(act);
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (!event.altKey || !event.shiftKey || event.code !== "KeyD") return;
      event.preventDefault();
      event.stopPropagation();
      latest.current();
    };
    window.addEventListener("keydown", onKey, true);
    return () => window.removeEventListener("keydown", onKey, true);
  }, [latest]);
}
