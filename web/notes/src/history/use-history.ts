import { type HistoryQuery, type RecordHistory, readHistory } from "@chorale/client/history";
import type { NoteFields } from "@chorale/react";
import { useContext, useEffect, useState } from "react";
import { HistorySourceContext } from "./source.ts";

type Answer =
  | { readonly status: "asking" }
  | { readonly status: "here"; readonly history: RecordHistory<NoteFields> }
  | { readonly status: "failed"; readonly message: string };

const ASKING: Answer = { status: "asking" };

/** Asks for a note's history, once, and again when told to. */
export function useHistory(interviewId: string, noteId: string): Answer & { readonly again: () => void } {
  const source = useContext(HistorySourceContext);
  const [answer, setAnswer] = useState<Answer>(ASKING);
  const [attempt, setAttempt] = useState(0);
  useEffect(() => {
    if (source === undefined) return;
    const stop = new AbortController();
    const query: HistoryQuery = {
      ...{ channel: `interview:${interviewId}`, collection: "notes", recordId: noteId },
      signal: stop.signal,
    };
    readHistory<NoteFields>(source, query).then(
      (history) => setAnswer({ status: "here", history }),
      (error: unknown) => {
        if (!stop.signal.aborted)
          setAnswer({ status: "failed", message: error instanceof Error ? error.message : String(error) });
      },
    );
    return () => stop.abort();
  }, [source, interviewId, noteId, attempt]);
  const again = () => {
    setAnswer(ASKING);
    setAttempt((before) => before + 1);
  };
  return { ...answer, again };
}
