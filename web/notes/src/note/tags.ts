/** Longest tag and most tags of one note; the schema says the same. */
export const MAX_TAG_LENGTH = 40;
export const MAX_TAGS = 20;

/**
 * One way to write each tag: lower case, no `#`, words joined by hyphens. Returns "" when nothing is left. Too long a tag is cut, so
 * that what a person sees in the chip is what is saved.
 */
export function normalizeTag(raw: string): string {
  const words = raw
    .trim()
    .replace(/^#+/, "")
    .toLowerCase()
    .split(/[\s_]+/);
  const tag = words
    .map((word) => word.replace(/[^\p{L}\p{N}-]/gu, ""))
    .filter((word) => word !== "")
    .join("-")
    .replace(/-{2,}/g, "-");
  return [...tag]
    .slice(0, MAX_TAG_LENGTH)
    .join("")
    .replace(/^-+|-+$/g, "");
}

/** Reads what was typed into a tag field: `#pricing trust, check-in`. Spaces, commas and semicolons end a tag; repeats are dropped. */
export function splitTags(text: string): string[] {
  return unique(text.split(/[\s,;]+/).map(normalizeTag));
}

/** Adds tags to others, without repeats and no more than a note may have. */
export function mergeTags(tags: readonly string[], more: readonly string[]): string[] {
  return unique([...tags, ...more]).slice(0, MAX_TAGS);
}

/**
 * Takes the hashtags out of a text: `Too dear #pricing #trust` is the text `Too dear` with two tags. Tags at the end are removed from
 * the text; those inside a sentence are part of it and stay. A `#` inside a word or before a digit (`C#`, `#1`) is no tag.
 */
export function liftTags(text: string): { text: string; tags: string[] } {
  const tags = [...text.matchAll(/(?<=^|\s)#(\p{L}[\p{L}\p{N}_-]*)/gu)].map((match) => normalizeTag(match[1] ?? ""));
  const body = text.replace(/(?:(?:^|\s+)#\p{L}[\p{L}\p{N}_-]*)+\s*$/u, "");
  return { text: body.trim(), tags: unique(tags) };
}

function unique(tags: readonly string[]): string[] {
  return [...new Set(tags)].filter((tag) => tag !== "");
}
