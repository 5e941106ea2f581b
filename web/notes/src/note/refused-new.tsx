import { type NoteFields, useCollection } from "@chorale/react";
import type { NoteActions } from "./note-actions.ts";
import { RefusedNotice } from "./notices.tsx";

/** Refused writes to notes that are not in the timeline: new ones that the server did not take, and edits of deleted ones. */
export function RefusedNew({ interviewId, actions }: { interviewId: string; actions: NoteActions }) {
  const { status, byId } = useCollection<NoteFields>(`interview:${interviewId}`, "notes");
  const failures = [...status].flatMap(([id, { failed }]) => (failed && !byId.has(id) ? [failed] : []));
  return failures.map((failure) => (
    <div key={failure.recordId} className="ml-13 pl-4 sm:ml-16 sm:pl-5">
      <RefusedNotice failure={failure} actions={actions} />
    </div>
  ));
}
