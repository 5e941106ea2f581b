import type { Version } from "@chorale/client/history";
import type { NoteFields } from "@chorale/react";
import { kindOf, type NoteKind } from "../note/kinds.ts";
import { formatTime } from "../note/time.ts";

/** What somebody did to a note, for a sentence that begins with their name. */
export function describeVersion({ op, wrote }: Pick<Version<NoteFields>, "op" | "wrote">): string {
  if (op === "put") return "wrote this note";
  if (op === "delete") return "deleted it";
  const did = [...(op === "restore" ? ["brought it back"] : []), ...(op === "patch" ? editsOf(wrote) : [])];
  return did.length > 0 ? listOf(did) : "changed it";
}

/** The text that a version has brought; undefined when it brought none. */
export function textOf({ op, wrote }: Pick<Version<NoteFields>, "op" | "wrote">): string | undefined {
  return op !== "restore" && typeof wrote.content === "string" ? wrote.content : undefined;
}

function editsOf({ content, timestampMs, kind, tags }: Version<NoteFields>["wrote"]): string[] {
  const signs = typeof tags === "object" && tags !== null ? Object.entries(tags) : [];
  const [added, removed] = [true, false].map((sign) => signs.filter(([, isIn]) => isIn === sign).map(([tag]) => tag));
  return [
    ...(content === undefined ? [] : ["changed the text"]),
    ...(typeof timestampMs === "number" ? [`moved it to ${formatTime(timestampMs)}`] : []),
    ...(kind === undefined ? [] : [`made it ${withArticle(kindOf(kind as NoteKind).kind)}`]),
    ...(added?.length ? [`tagged it ${listOf(added)}`] : []),
    ...(removed?.length ? [`took the tag ${listOf(removed)} off`] : []),
  ];
}

function withArticle(noun: string): string {
  return /^[aeiou]/.test(noun) ? `an ${noun}` : `a ${noun}`;
}

function listOf(words: readonly string[]): string {
  return words.length < 2 ? words.join() : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}
