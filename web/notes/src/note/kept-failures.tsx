import { useClientEvent } from "@chorale/react";
import { createContext, type ReactNode, useCallback, useContext, useEffect, useMemo, useRef, useState } from "react";
import { type Failures, failuresIn, forgetFailure, keepFailure } from "./failures.ts";
import { useRefusalToast } from "./use-refusal-toast.ts";

interface KeptFailures {
  readonly failures: Failures;
  readonly forget: (channel: string, noteId: string) => void;
  /** Somebody shows the refusals of a channel, until the returned function is called. */
  readonly show: (channel: string) => () => void;
}

const NONE: Failures = new Map();
const KeptContext = createContext<KeptFailures>({ failures: NONE, forget: () => {}, show: () => () => {} });

/**
 * Keeps what the server refused. It stands above the pages, because the answer to a write may come when its page was left long ago,
 * and the text must be there when somebody comes back. A refusal that no page shows is told in passing.
 */
export function KeptFailuresProvider({ children }: { children: ReactNode }) {
  const [failures, setFailures] = useState(NONE);
  const shown = useRef(new Set<string>());
  const tell = useRefusalToast();
  useClientEvent("mutationFailed", (failure) => {
    const isNote = failure.collection === "notes";
    if (isNote) setFailures((kept) => keepFailure(kept, failure));
    if (!isNote || !shown.current.has(failure.channel)) tell(failure);
  });
  const forget = useCallback<KeptFailures["forget"]>((channel, noteId) => {
    setFailures((kept) => forgetFailure(kept, channel, noteId));
  }, []);
  const show = useCallback<KeptFailures["show"]>((channel) => {
    shown.current.add(channel);
    return () => void shown.current.delete(channel);
  }, []);
  const value = useMemo(() => ({ failures, forget, show }), [failures, forget, show]);
  return <KeptContext value={value}>{children}</KeptContext>;
}

/** The refused writes of one channel by note, for the page that shows them, and a stable way to forget one. */
export function useKeptFailures(channel: string): { failures: Failures; forget: (noteId: string) => void } {
  const { failures: all, forget: forgetIn, show } = useContext(KeptContext);
  useEffect(() => show(channel), [show, channel]);
  const failures = useMemo(() => failuresIn(all, channel), [all, channel]);
  const forget = useCallback((noteId: string) => forgetIn(channel, noteId), [forgetIn, channel]);
  return { failures, forget };
}
