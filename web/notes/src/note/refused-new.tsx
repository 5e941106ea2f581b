import { type NoteFields, useCollection } from "@chorale/react";
import type { NoteActions } from "./note-actions.ts";
import { RefusedNotice } from "./notices.tsx";

/**
 * Refused writes to notes that are not in the timeline: new ones that the server did not take, and edits of deleted ones. They stand
 * above the composer, to be seen wherever the timeline was scrolled to.
 */
export function RefusedNew({ interviewId, actions }: { interviewId: string; actions: NoteActions }) {
  const { status, byId } = useCollection<NoteFields>(`interview:${interviewId}`, "notes");
  const failures = [...status].flatMap(([id, { failed }]) => (failed && !byId.has(id) ? [failed] : []));
  return failures.map((failure) => <RefusedNotice key={failure.recordId} failure={failure} actions={actions} />);
}
