import type { Skipped, Undone } from "@chorale/client/undo";

export type Direction = "undo" | "redo";

const DONE: Readonly<Record<Direction, Readonly<Record<Undone["changed"][number]["op"], string>>>> = {
  undo: { patch: "Change undone", delete: "Note taken back", restore: "Note is back" },
  redo: { patch: "Change made again", delete: "Note deleted again", restore: "Note is back" },
};

/** What undo or redo has come to, in words for everybody who reads or hears them. */
export function describeUndone(which: Direction, done: Undone | undefined): string {
  if (done === undefined) return which === "undo" ? "Nothing to undo" : "Nothing to redo";
  const [first] = done.changed;
  if (first === undefined) return describeSkipped(done.skipped) ?? "Nothing to undo";
  const skipped = describeSkipped(done.skipped);
  return skipped === undefined ? DONE[which][first.op] : `${DONE[which][first.op]}, but not all: ${lower(skipped)}`;
}

/** Why something was left as it is; undefined when nothing was. */
export function describeSkipped([first]: readonly Skipped[]): string | undefined {
  if (first === undefined) return undefined;
  switch (first.reason) {
    case "changed":
      return "Somebody else has changed that since, and theirs stays";
    case "deleted":
      return "The note was deleted";
    case "unset":
      return "There was nothing before";
    case "refused":
      return "The server did not take it";
    default:
      return first.reason satisfies never;
  }
}

function lower(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
