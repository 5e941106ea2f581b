import type { Json, MutationFailure, MutationOp } from "@chorale/client";
import { formatTime } from "./time.ts";

const VERBS: Readonly<Record<MutationOp, string>> = {
  put: "saved",
  patch: "saved",
  delete: "deleted",
  restore: "brought back",
};

/** What a record of each collection is called. */
const KINDS: Readonly<Record<string, string>> = { notes: "A note", interviews: "An interview", projects: "A project" };

/** A refused write in words: what could not be done, why, and what was written, so that nobody has to write it again. */
export interface Refusal {
  readonly headline: string;
  readonly reason: string;
  readonly text: string;
  /** What trying again is called here. */
  readonly retry: string;
}

export function describeRefusal(failure: MutationFailure): Refusal {
  const { op, outcome, fields } = failure;
  const isGone = outcome.status === "gone" && op === "patch";
  return {
    headline: `Could not be ${VERBS[op]}`,
    reason: reasonOf(outcome),
    text: textOf(fields),
    retry: isGone ? "Restore with my text" : "Try again",
  };
}

/** The same in one line, for somebody who looks at something else: it names what was refused. */
export function describeElsewhere(failure: MutationFailure): string {
  const { reason } = describeRefusal(failure);
  return `${nameOf(failure)} could not be ${VERBS[failure.op]}: ${reason}`;
}

/** How much of a text names it, in characters. */
const NAME_LENGTH = 40;

/** What was refused, by its first words when it has some. */
function nameOf({ collection, fields }: MutationFailure): string {
  const words = fields.content ?? fields.title ?? fields.name;
  if (typeof words !== "string" || words === "") return KINDS[collection] ?? "A change";
  return words.length > NAME_LENGTH ? `“${words.slice(0, NAME_LENGTH).trimEnd()}…”` : `“${words}”`;
}

/** Whether a sentence says by itself which field it is about: the server's begin with the name, where there is one. */
function isPlaceSaid({ message, path = "" }: { message: string; path?: string }): boolean {
  return path === "" || message.startsWith(`${path.slice(1).replaceAll("/", ".")}:`);
}

function reasonOf(outcome: MutationFailure["outcome"]): string {
  switch (outcome.status) {
    case "rejected":
      return isPlaceSaid(outcome) ? outcome.message : `${outcome.message} (${outcome.path})`;
    case "gone":
      return "it was deleted meanwhile";
    case "exists":
      return "there is one with this id already";
    case "superseded":
      return "a newer version won";
    case "unknown":
      return "the connection ended before the server answered";
    default:
      return outcome satisfies never;
  }
}

/** The content when that was written, else the fields by name. */
function textOf(fields: Readonly<Record<string, Json>>): string {
  const { content, ...rest } = fields;
  if (typeof content === "string") return content;
  return Object.entries(rest)
    .map(([name, value]) => `${name}: ${name === "timestampMs" && typeof value === "number" ? formatTime(value) : show(value)}`)
    .join("\n");
}

function show(value: Json): string {
  if (Array.isArray(value))
    return value.map((one: Json) => (typeof one === "string" ? `#${one}` : JSON.stringify(one))).join(" ");
  return typeof value === "string" ? value : JSON.stringify(value);
}
