import type { Conflict, Json } from "@chorale/client";
import { formatTime } from "./time.ts";

const FIELDS: Readonly<Record<string, string>> = { content: "text", timestampMs: "time", kind: "kind", authorName: "author" };

/** A conflict in words: whose version won, and what was yours. `by` is the winner's name when it is known. */
export function describeConflict(conflict: Conflict, by: string | undefined): { headline: string; mine: string } {
  const field = FIELDS[conflict.field] ?? conflict.field;
  const whose = by === undefined ? "A newer" : `${by}’s`;
  return { headline: `${whose} ${field} won`, mine: describeValue(conflict.field, conflict.mine) };
}

/** A field's value as the app shows it. */
export function describeValue(field: string, value: Json | undefined): string {
  if (value === undefined || value === null || value === "") return "nothing";
  if (field === "timestampMs" && typeof value === "number") return formatTime(value);
  if (typeof value === "string") return value;
  return JSON.stringify(value);
}

/** Keeps one conflict for each field of each note, the newest. */
export function addConflict(conflicts: readonly Conflict[], newest: Conflict): readonly Conflict[] {
  const isSame = (old: Conflict) => old.recordId === newest.recordId && old.field === newest.field;
  return [...conflicts.filter((old) => !isSame(old)), newest];
}
