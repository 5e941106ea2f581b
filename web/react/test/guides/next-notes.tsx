"use client";

import { type Note, useInterviewNotesRealtime } from "@chorale/react";

export function Notes({ interviewId, initialNotes }: { interviewId: string; initialNotes: readonly Note[] }) {
  const { notes, isConnected } = useInterviewNotesRealtime(interviewId, { initialNotes });
  return (
    <section aria-label={isConnected ? "Notes, live" : "Notes"}>
      {notes.map((note) => (
        <p key={note.id}>{note.content}</p>
      ))}
    </section>
  );
}
