import { describe, expect, test } from "vitest";
import { authorsOf, countTags, EVERYTHING, filterNotes } from "../src/note/filter.ts";
import { aNote } from "./note.ts";

const notes = [
  aNote({ id: "1", content: "The café is full", tags: ["trust"] }),
  aNote({
    id: "2",
    content: "Is it full, or full for us?",
    kind: "quote",
    authorId: "ines",
    authorName: "Ines",
    tags: ["vehicle"],
  }),
  aNote({ id: "3", content: "Ask operations", kind: "action", tags: ["trust", "vehicle"] }),
];
const found = (filter: Partial<typeof EVERYTHING>) => filterNotes(notes, { ...EVERYTHING, ...filter }).map((note) => note.id);

describe("filtering notes", () => {
  test("without a filter it is the same array", () => expect(filterNotes(notes, EVERYTHING)).toBe(notes));
  test("all words have to be there, in any order", () => expect(found({ search: "us? full" })).toEqual(["2"]));
  test("case and accents do not matter", () => expect(found({ search: "CAFE" })).toEqual(["1"]));
  test("kinds, authors and tags are searched too", () => {
    expect(found({ search: "action" })).toEqual(["3"]);
    expect(found({ search: "ines" })).toEqual(["2"]);
    expect(found({ search: "#vehicle" })).toEqual(["2", "3"]);
  });
  test("tag, author and search are all required", () => {
    expect(found({ tag: "vehicle", author: "mara" })).toEqual(["3"]);
    expect(found({ tag: "vehicle", author: "mara", search: "full" })).toEqual([]);
  });
});

test("tags are counted, the frequent ones first", () => {
  expect(countTags(notes)).toEqual([
    { tag: "trust", count: 2 },
    { tag: "vehicle", count: 2 },
  ]);
});

test("an author stands under the newest name", () => {
  const renamed = [...notes, aNote({ id: "4", authorId: "ines", authorName: "Inês" })];
  expect(authorsOf(renamed)).toEqual([
    { sub: "mara", name: "Mara Okafor" },
    { sub: "ines", name: "Inês" },
  ]);
});
