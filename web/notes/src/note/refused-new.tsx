import type { Note } from "@chorale/react";
import type { Failures } from "./failures.ts";
import type { NoteActions } from "./note-actions.ts";
import { RefusedNotice } from "./notices.tsx";

/**
 * Refused writes to notes that are not in the timeline: new ones that the server did not take, and edits of deleted ones. They stand
 * above the composer, to be seen wherever the timeline was scrolled to.
 */
export function RefusedNew({ failures, notes, actions }: { failures: Failures; notes: readonly Note[]; actions: NoteActions }) {
  if (failures.size === 0) return null; // nearly always: else ten thousand notes would be looked at with every change of one
  const there = new Set(notes.map((note) => note.id));
  const homeless = [...failures.values()].filter((failure) => !there.has(failure.recordId));
  return homeless.map((failure) => <RefusedNotice key={failure.recordId} failure={failure} actions={actions} />);
}
