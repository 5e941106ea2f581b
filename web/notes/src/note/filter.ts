import type { Note } from "@chorale/react";

/** Which notes to show. A part that is empty lets everything through; notes have to satisfy all parts. */
export interface NoteFilter {
  /** Words that must all be in the content, the author's name, the kind or a tag; case and accents do not matter. */
  readonly search: string;
  readonly tag: string;
  /** Token `sub` of the author. */
  readonly author: string;
}

/** A tag, and how many notes have it. */
export interface Tag {
  readonly tag: string;
  readonly count: number;
}

export interface Author {
  /** The token's. */
  readonly sub: string;
  readonly name: string;
}

export const EVERYTHING: NoteFilter = { search: "", tag: "", author: "" };

export function isFiltering(filter: NoteFilter): boolean {
  return filter.search.trim() !== "" || filter.tag !== "" || filter.author !== "";
}

/** The notes that a filter lets through, in their order. The same array when that is all of them. */
export function filterNotes(notes: readonly Note[], filter: NoteFilter): readonly Note[] {
  if (!isFiltering(filter)) return notes;
  const words = fold(filter.search)
    .split(/\s+/)
    .filter((word) => word !== "");
  return notes.filter(
    (note) =>
      (filter.tag === "" || note.tags.includes(filter.tag)) &&
      (filter.author === "" || note.authorId === filter.author) &&
      (words.length === 0 || hasAll(note, words)),
  );
}

function hasAll(note: Note, words: readonly string[]): boolean {
  const text = fold([note.content, note.authorName ?? "", note.kind ?? "", ...note.tags.map((tag) => `#${tag}`)].join("\n"));
  return words.every((word) => text.includes(word));
}

function fold(text: string): string {
  return text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
}

/** All tags with how often they occur, most frequent first, then by name. */
export function countTags(notes: readonly Note[]): readonly Tag[] {
  const counts = new Map<string, number>();
  for (const { tags } of notes) for (const tag of tags) counts.set(tag, (counts.get(tag) ?? 0) + 1);
  return [...counts].map(([tag, count]) => ({ tag, count })).sort((a, b) => b.count - a.count || (a.tag < b.tag ? -1 : 1));
}

/** Everybody who wrote, in the order of their first notes, under the name that they used last. */
export function authorsOf(notes: readonly Note[]): readonly Author[] {
  const names = new Map<string, string>();
  for (const note of notes) names.set(note.authorId, note.authorName ?? names.get(note.authorId) ?? "Somebody");
  return [...names].map(([sub, name]) => ({ sub, name }));
}
