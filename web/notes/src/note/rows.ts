import type { Note } from "@chorale/react";

/** A note whose editor is open, as it was then, and what was left off earlier. */
export interface Editing {
  readonly note: Note;
  readonly draft?: string;
}

export interface Rows {
  readonly notes: readonly Note[];
  /** One of them that was deleted while it was edited: shown for the text that somebody has under their hands. */
  readonly gone?: Note;
}

/**
 * The rows of the timeline: the notes that are shown, and in its place the one that is edited, even when the filter hides it or
 * somebody deleted it.
 */
export function rowsOf(shown: readonly Note[], all: readonly Note[], editing: Editing | undefined): Rows {
  if (!editing) return { notes: shown };
  const known = all.find((note) => note.id === editing.note.id);
  const edited = known ?? editing.note;
  const notes = shown.includes(edited) ? shown : [...shown, edited].sort(byTime);
  return known ? { notes } : { notes, gone: edited };
}

function byTime(a: Note, b: Note): number {
  return a.timestampMs - b.timestampMs || (a.id < b.id ? -1 : 1);
}
