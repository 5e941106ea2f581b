import { useCallback, useEffect, useRef } from "react";
import type { InterviewPresence } from "../people/doing.ts";

/** Who has not pressed a key for this long is reading again, in ms. */
const IDLE_MS = 4_000;

/**
 * Tells the others what this person is at, and that they stopped when nothing was heard for a while. The returned function may be
 * called with each key: what it says goes out only when it changes.
 */
export function useDoing(update: (part: Partial<InterviewPresence>) => void) {
  const said = useRef("reading:");
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const say = useCallback(
    (doing: InterviewPresence["doing"], noteId: string) => {
      if (said.current === `${doing}:${noteId}`) return;
      said.current = `${doing}:${noteId}`;
      update({ doing, noteId });
    },
    [update],
  );
  useEffect(() => () => clearTimeout(timer.current), []);
  return useCallback(
    (doing: InterviewPresence["doing"], noteId = "") => {
      clearTimeout(timer.current);
      say(doing, noteId);
      // An open editor is worth knowing about also while its person thinks; a composer with some text in it is not.
      if (doing === "writing") timer.current = setTimeout(() => say("reading", ""), IDLE_MS);
    },
    [say],
  );
}
