import type { Note } from "@chorale/react";

/** A note whose editor is open, as it was then, and what was left off earlier. */
export interface Editing {
  readonly note: Note;
  readonly draft?: string;
}

export interface Row {
  readonly note: Note;
  /** Deleted while it was edited: shown for the text that somebody has under their hands. */
  readonly isGone: boolean;
}

/**
 * The rows of the timeline: the notes that are shown, and in its place the one that is edited, even when the filter hides it or
 * somebody deleted it.
 */
export function rowsOf(shown: readonly Note[], all: readonly Note[], editing: Editing | undefined): readonly Row[] {
  const edited = editing && (all.find((note) => note.id === editing.note.id) ?? editing.note);
  const isGone = edited !== undefined && !all.includes(edited);
  const isMissing = edited !== undefined && !shown.includes(edited);
  const notes = isMissing ? [...shown, edited].sort(byTime) : shown;
  return notes.map((note) => ({ note, isGone: isGone && note === edited }));
}

function byTime(a: Note, b: Note): number {
  return a.timestampMs - b.timestampMs || (a.id < b.id ? -1 : 1);
}
