/** Longest text of a note, in characters; the schema says the same. */
export const MAX_CONTENT = 20_000;
