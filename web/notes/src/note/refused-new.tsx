import type { Note } from "@chorale/react";
import type { Failures } from "./failures.ts";
import type { NoteActions } from "./note-actions.ts";
import { RefusedNotice } from "./notices.tsx";

/**
 * Refused writes to notes that are not in the timeline: new ones that the server did not take, and edits of deleted ones. They stand
 * above the composer, to be seen wherever the timeline was scrolled to.
 */
export function RefusedNew({ failures, notes, actions }: { failures: Failures; notes: readonly Note[]; actions: NoteActions }) {
  // Asked from the few that failed: there may be ten thousand notes, and this is rendered with every change of one.
  const homeless = [...failures.values()].filter(({ recordId }) => !notes.some(({ id }) => id === recordId));
  return homeless.map((failure) => <RefusedNotice key={failure.recordId} failure={failure} actions={actions} />);
}
