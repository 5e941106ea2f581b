import type { Note } from "@chorale/react";
import { formatTime } from "./time.ts";

/** The notes that others added since `known` was all there was. */
export function arrivalsOf(notes: readonly Note[], known: ReadonlySet<string>, me: string): readonly Note[] {
  return notes.filter((note) => !known.has(note.id) && note.authorId !== me);
}

/** Arrivals as a screen reader tells them. */
export function describeArrivals(arrivals: readonly Note[]): string {
  const [first, ...rest] = arrivals;
  if (!first) return "";
  if (rest.length > 0) return `${arrivals.length} new notes`;
  return `${first.authorName ?? "Somebody"} added a note at ${formatTime(first.timestampMs)}: ${first.content}`;
}
