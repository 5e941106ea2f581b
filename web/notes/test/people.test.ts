import type { PresenceMember } from "@chorale/client";
import { describe, expect, test } from "vitest";
import { editorsOf, type InterviewPresence, peopleOf, writersOf } from "../src/people/doing.ts";
import { hueOf, initialsOf, listNames } from "../src/people/person.ts";

const member = (state: Partial<InterviewPresence>, isSelf = false): PresenceMember<InterviewPresence> => {
  const full: InterviewPresence = { name: "Ada", sub: "ada", doing: "reading", noteId: "", ...state };
  return { key: `${full.sub}-tab`, state: full, states: [full], isSelf };
};

test.each([
  ["Mara Okafor", "MO"],
  ["ada", "A"],
  ["  Anna  Maria von Berg ", "AB"],
  ["Ægir (guest)", "ÆG"],
  ["李 雷", "李雷"],
  ["!!!", "?"],
])("the initials of %j are %s", (name, initials) => expect(initialsOf(name)).toBe(initials));

test("the same person has the same colour everywhere, and the study's authors have different ones", () => {
  const team = ["seed-mara", "seed-ben", "seed-ines", "seed-tomasz"];
  expect(hueOf("seed-mara")).toBe(hueOf("seed-mara"));
  expect(new Set(team.map(hueOf)).size).toBe(team.length);
});

test.each([
  [[], ""],
  [["Ada"], "Ada"],
  [["Ada", "Ben"], "Ada and Ben"],
  [["Ada", "Ben", "Cy"], "Ada, Ben and Cy"],
  [["Ada", "Ben", "Cy", "Di"], "Ada, Ben and 2 others"],
])("%j are %j in a sentence", (names, text) => expect(listNames(names)).toBe(text));

describe("presence", () => {
  test("a person in two tabs is one face, and oneself comes first", () => {
    const members = [member({}), member({ sub: "me", name: "Zoe" }, true), member({}), member({ sub: "ben", name: "Ben" })];
    expect(peopleOf(members).map((person) => person.name)).toEqual(["Zoe", "Ada", "Ben"]);
  });
  test("members that say nothing of themselves are left out", () => {
    const state = { doing: "reading" } as InterviewPresence;
    expect(peopleOf([{ key: "x", state, states: [state], isSelf: false }])).toEqual([]);
  });
  test("the others who write are named, not oneself", () => {
    const members = [member({ doing: "writing" }), member({ doing: "writing", sub: "me", name: "Zoe" }, true)];
    expect(writersOf(members)).toEqual(["Ada"]);
  });
  test("who edits is known by note", () => {
    const members = [
      member({ doing: "editing", noteId: "n1" }),
      member({ doing: "editing", noteId: "n1", sub: "ben", name: "Ben" }),
      member({ doing: "editing", noteId: "n2", sub: "me", name: "Zoe" }, true),
    ];
    expect([...editorsOf(members, listNames)]).toEqual([["n1", "Ada and Ben"]]);
  });
});
