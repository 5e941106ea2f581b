import type { Note } from "../src/index.ts";

/** A note as a server would render it. */
export function note(id: string, content: string, timestampMs = 0): Note {
  const meta = { version: 1, createdAt: 1, createdBy: "ada", updatedAt: 1, updatedBy: "ada" };
  return { id, content, timestampMs, tags: [], authorName: "Ada", kind: "note", interviewId: "1", authorId: "ada", ...meta };
}
