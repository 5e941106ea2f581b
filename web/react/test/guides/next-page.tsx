import type { Note } from "@chorale/react";
import { Notes } from "./next-notes.tsx";
import { signToken } from "./token-route.ts";

/** A note as the server keeps it: what people wrote by kind, and who and when beside it. */
interface Stored extends Pick<Note, "id" | "version" | "createdAt" | "createdBy" | "updatedAt" | "updatedBy"> {
  readonly fields: Pick<Note, "content" | "timestampMs" | "authorName" | "kind">;
  readonly sets?: { readonly tags?: readonly string[] };
}

/** The first page of them; the live ones are all. */
async function notesOf(interviewId: string): Promise<readonly Note[]> {
  const { CHORALE_URL = "", CHORALE_JWT_SECRET = "" } = process.env;
  const response = await fetch(`${CHORALE_URL}/api/v1/channels/interview:${interviewId}/collections/notes/records`, {
    headers: { authorization: `Bearer ${signToken({ id: "next", name: "Next" }, CHORALE_JWT_SECRET)}` },
    cache: "no-store",
  });
  if (!response.ok) return []; // the live ones come all the same
  const { records }: { records: readonly Stored[] } = await response.json();
  return records.map(({ id, version, createdAt, createdBy, updatedAt, updatedBy, fields, sets }) => ({
    ...{ id, version, createdAt, createdBy, updatedAt, updatedBy, ...fields },
    ...{ tags: sets?.tags ?? [], interviewId, authorId: createdBy },
  }));
}

export default async function Page({ params }: { params: Promise<{ id: string }> }) {
  const { id } = await params;
  return <Notes interviewId={id} initialNotes={await notesOf(id)} />;
}
