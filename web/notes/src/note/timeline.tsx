import type { Conflict, RecordStatus } from "@chorale/client";
import type { Note } from "@chorale/react";
import { type RefObject, useMemo, useState } from "react";
import { useNow } from "../ui/use-now.ts";
import { NowContext } from "./ago.tsx";
import { describeArrivals } from "./arrivals.ts";
import type { Failures } from "./failures.ts";
import type { NoteActions } from "./note-actions.ts";
import { NoteCard } from "./note-card.tsx";
import { AllRows, type Reveal, WindowedRows } from "./row-list.tsx";
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
  /** What scrolls the timeline. */
  scroller: RefObject<HTMLElement | null>;
  /** Takes the function that brings a note into sight. */
  revealer: RefObject<Reveal>;
}

/** From so many notes on, only those on the screen and around it are in the page: before that, the page's own search finds everything. */
const WINDOWED_FROM = 300;

/** The notes along the recording. */
export function Timeline(props: TimelineProps) {
  const { shown, all, editing, arrivals, conflicts, noteStatus, failures, editedBy, actions, scroller, revealer } = props;
  const now = useNow(30_000);
  const rows = useMemo(() => rowsOf(shown, all, editing), [shown, all, editing]);
  const arrived = useMemo(() => new Set(arrivals.map((note) => note.id)), [arrivals]);
  const conflictsOf = useMemo(() => Map.groupBy(conflicts, (conflict) => conflict.recordId), [conflicts]);
  // Once and for good, and never under somebody's hands: the rows are made anew by it.
  const [isWindowed, setWindowed] = useState(false);
  if (!isWindowed && rows.notes.length >= WINDOWED_FROM && editing === undefined) setWindowed(true);

  const card = (note: Note) => (
    <NoteCard
      note={note}
      status={noteStatus(note.id)}
      failure={failures.get(note.id)}
      editedBy={editedBy.get(note.id)}
      conflicts={conflictsOf.get(note.id)}
      isEditing={editing?.note.id === note.id}
      draft={editing?.note.id === note.id ? editing.draft : undefined}
      isGone={note === rows.gone}
      isArrival={arrived.has(note.id)}
      actions={actions}
    />
  );
  return (
    <NowContext value={now}>
      {isWindowed ? (
        <WindowedRows notes={rows.notes} editedId={editing?.note.id} scroller={scroller} revealer={revealer} card={card} />
      ) : (
        <AllRows notes={rows.notes} revealer={revealer} card={card} />
      )}
      {/* Placed within the list: else it lies as far below the page as the list is long, and the page can be scrolled to there. */}
      <div className="relative">
        <p aria-live="polite" className="sr-only">
          {describeArrivals(arrivals)}
        </p>
      </div>
    </NowContext>
  );
}
