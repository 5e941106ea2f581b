import { describe, expect, test } from "vitest";
import { liftTags, MAX_TAGS, mergeTags, normalizeTag, splitTags } from "../src/note/tags.ts";

describe("a tag is written one way", () => {
  test.each([
    ["#Pricing", "pricing"],
    ["  Check in ", "check-in"],
    ["check_in", "check-in"],
    ["Skarvøy!", "skarvøy"],
    ["--a--b--", "a-b"],
    ["#", ""],
    ["💸", ""],
  ])("%j becomes %j", (raw, tag) => expect(normalizeTag(raw)).toBe(tag));

  test("it has no more than 40 characters", () => expect(normalizeTag("x".repeat(60))).toHaveLength(40));
});

test("a tag field takes several tags, with or without #, once each", () => {
  expect(splitTags("#pricing trust, check-in;trust")).toEqual(["pricing", "trust", "check-in"]);
});

test("a note has no more tags than the schema allows", () => {
  const many = Array.from({ length: 30 }, (_, i) => `t${i}`);
  expect(mergeTags(["first"], many)).toHaveLength(MAX_TAGS);
  expect(mergeTags(["a", "b"], ["b", "c"])).toEqual(["a", "b", "c"]);
});

describe("hashtags in a text", () => {
  test.each([
    ["Too dear #pricing #trust", "Too dear", ["pricing", "trust"]],
    ["The #camper does not fit", "The #camper does not fit", ["camper"]],
    ["The #camper does not fit #vehicle ", "The #camper does not fit", ["camper", "vehicle"]],
    ["Writes C# and is #1", "Writes C# and is #1", []],
    ["#pricing", "", ["pricing"]],
    ["two\nlines #a", "two\nlines", ["a"]],
    ["no tags", "no tags", []],
  ])("%j is %j with %j", (typed, text, tags) => expect(liftTags(typed)).toEqual({ text, tags }));
});
