import type { Conflict, MutationFailure } from "@chorale/client";
import { describe, expect, test } from "vitest";
import { addConflict, describeConflict } from "../src/note/conflict-text.ts";
import { describeRefusal } from "../src/note/refusal-text.ts";

const conflict: Conflict = {
  channel: "interview:i1",
  collection: "notes",
  recordId: "n1",
  field: "content",
  mine: "Too dear",
  theirs: "Too expensive",
  by: "ben",
};

describe("a conflict in words", () => {
  test("says whose version won, and what was yours", () => {
    expect(describeConflict(conflict, "Ben")).toEqual({ headline: "Ben’s text won", mine: "Too dear" });
  });
  test("shows a time as a time, and nothing as nothing", () => {
    expect(describeConflict({ ...conflict, field: "timestampMs", mine: 192_000 }, undefined)).toEqual({
      headline: "A newer time won",
      mine: "03:12",
    });
    expect(describeConflict({ ...conflict, mine: undefined }, "Ben").mine).toBe("nothing");
  });
  test("a newer one about the same field takes the place of the older, others stay", () => {
    const newer = { ...conflict, theirs: "Dear" };
    const other = { ...conflict, field: "kind" };
    expect(addConflict([conflict, other], newer)).toEqual([other, newer]);
  });
});

describe("a refusal in words", () => {
  const failure: MutationFailure = {
    channel: "interview:i1",
    collection: "notes",
    recordId: "n1",
    op: "patch",
    outcome: { status: "rejected", code: "schema_violation", message: "too long", path: "/content" },
    fields: { content: "My text", kind: "note" },
  };
  test("has the reason with its place, and the text", () => {
    expect(describeRefusal(failure)).toEqual({
      headline: "Could not be saved",
      reason: "too long (/content)",
      text: "My text",
      retry: "Try again",
    });
  });
  test("and has the place once, when the reason begins with it", () => {
    const said = { status: "rejected", code: "schema_violation", message: "content: too long", path: "/content" } as const;
    expect(describeRefusal({ ...failure, outcome: said }).reason).toBe("content: too long");
  });
  test("an edit of a deleted note can be brought back with its text", () => {
    const { reason, retry } = describeRefusal({ ...failure, outcome: { status: "gone", offset: 7 } });
    expect(reason).toBe("it was deleted meanwhile");
    expect(retry).toBe("Restore with my text");
  });
  test("without content it names what was changed", () => {
    expect(describeRefusal({ ...failure, fields: { timestampMs: 192_000, tags: ["a", "b"] } }).text).toBe(
      "timestampMs: 03:12\ntags: #a #b",
    );
  });
  test("a refused deletion has no text to keep", () => {
    expect(describeRefusal({ ...failure, op: "delete", fields: {} })).toMatchObject({
      headline: "Could not be deleted",
      text: "",
    });
  });
});
