import type { Note } from "@chorale/react";

/** A note as the hooks give it, with what a test says about it. */
export function aNote(part: Partial<Note> = {}): Note {
  return {
    id: "n1",
    version: 1,
    content: "Books on her phone",
    timestampMs: 192_000,
    authorName: "Mara Okafor",
    authorId: "mara",
    kind: "note",
    tags: [],
    interviewId: "i1",
    createdAt: 0,
    createdBy: part.authorId ?? "mara",
    updatedAt: 0,
    updatedBy: "mara",
    ...part,
  };
}
