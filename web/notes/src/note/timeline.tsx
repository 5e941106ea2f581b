import type { Conflict, RecordStatus } from "@chorale/client";
import type { Note } from "@chorale/react";
import { useMemo } from "react";
import { useShortcut } from "../keyboard/use-shortcut.ts";
import { useNow } from "../ui/use-now.ts";
import { NowContext } from "./ago.tsx";
import { describeArrivals } from "./arrivals.ts";
import type { Failures } from "./failures.ts";
import type { NoteActions } from "./note-actions.ts";
import { NoteCard } from "./note-card.tsx";
import { type Editing, rowsOf } from "./rows.ts";

interface TimelineProps {
  /** What the filter lets through. */
  shown: readonly Note[];
  all: readonly Note[];
  editing: Editing | undefined;
  arrivals: readonly Note[];
  conflicts: readonly Conflict[];
  noteStatus: (id: string) => RecordStatus | undefined;
  /** Refused writes by note. */
  failures: Failures;
  editedBy: ReadonlyMap<string, string>;
  actions: NoteActions;
}

/** The notes along the recording. */
export function Timeline({ shown, all, editing, arrivals, conflicts, noteStatus, failures, editedBy, actions }: TimelineProps) {
  const now = useNow(30_000);
  const rows = useMemo(() => rowsOf(shown, all, editing), [shown, all, editing]);
  const arrived = useMemo(() => new Set(arrivals.map((note) => note.id)), [arrivals]);
  const conflictsOf = useMemo(() => Map.groupBy(conflicts, (conflict) => conflict.recordId), [conflicts]);
  useShortcut("j", () => focusNote(1));
  useShortcut("k", () => focusNote(-1));
  return (
    <NowContext value={now}>
      <ol aria-label="Notes" data-testid="timeline">
        {rows.map(({ note, isGone }) => (
          <li key={note.id} className="note-row">
            <NoteCard
              note={note}
              status={noteStatus(note.id)}
              failure={failures.get(note.id)}
              editedBy={editedBy.get(note.id)}
              conflicts={conflictsOf.get(note.id)}
              isEditing={editing?.note.id === note.id}
              draft={editing?.note.id === note.id ? editing.draft : undefined}
              isGone={isGone}
              isArrival={arrived.has(note.id)}
              actions={actions}
            />
          </li>
        ))}
      </ol>
      <p aria-live="polite" className="sr-only">
        {describeArrivals(arrivals)}
      </p>
    </NowContext>
  );
}

/** Moves the focus by notes; from nowhere to the first, or the last. */
function focusNote(step: 1 | -1) {
  const cards = [...document.querySelectorAll<HTMLElement>("article[data-note-id]")];
  const at = cards.findIndex((card) => card.contains(document.activeElement));
  const next = at === -1 ? (step === 1 ? cards[0] : cards.at(-1)) : cards[at + step];
  next?.focus({ preventScroll: true });
  next?.scrollIntoView({ block: "nearest" });
}
