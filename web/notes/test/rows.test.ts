import { describe, expect, test } from "vitest";
import { arrivalsOf, describeArrivals } from "../src/note/arrivals.ts";
import { type Rows, rowsOf } from "../src/note/rows.ts";
import { aNote } from "./note.ts";

const a = aNote({ id: "a", timestampMs: 1_000 });
const b = aNote({ id: "b", timestampMs: 2_000 });
const c = aNote({ id: "c", timestampMs: 3_000, authorId: "ben", authorName: "Ben" });
const ids = ({ notes, gone }: Rows) => notes.map((note) => (note === gone ? `${note.id} gone` : note.id));

describe("the rows of the timeline", () => {
  test("are the notes that are shown", () => expect(ids(rowsOf([a, c], [a, b, c], undefined))).toEqual(["a", "c"]));
  test("keep the edited note when the filter hides it", () => {
    expect(ids(rowsOf([a, c], [a, b, c], { note: b }))).toEqual(["a", "b", "c"]);
  });
  test("keep the edited note in its place when somebody deletes it", () => {
    expect(ids(rowsOf([a, c], [a, c], { note: b }))).toEqual(["a", "b gone", "c"]);
  });
  test("show the newest version of the edited note", () => {
    const newer = { ...b, content: "newer" };
    expect(rowsOf([a, newer], [a, newer], { note: b }).notes[1]).toBe(newer);
  });
});

describe("arrivals", () => {
  test("are what others added since", () => {
    expect(arrivalsOf([a, b, c], new Set(["a"]), "mara")).toEqual([c]);
  });
  test("are told in a sentence, and counted when there are many", () => {
    expect(describeArrivals([c])).toBe("Ben added a note at 00:03: Books on her phone");
    expect(describeArrivals([b, c])).toBe("2 new notes");
    expect(describeArrivals([])).toBe("");
  });
});
