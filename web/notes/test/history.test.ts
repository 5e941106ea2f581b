import { expect, test } from "vitest";
import { describeVersion, textOf } from "../src/history/history-text.ts";

test.each([
  ["put", { content: "x", tags: ["a"] }, "wrote this note", "x"],
  ["patch", { content: "y" }, "changed the text", "y"],
  ["patch", { timestampMs: 61_000, content: "y" }, "changed the text and moved it to 01:01", "y"],
  ["patch", { kind: "insight" }, "made it an insight", undefined],
  [
    "patch",
    { tags: { price: true, trust: true, old: false } },
    "tagged it price and trust and took the tag old off",
    undefined,
  ],
  ["patch", { other: 1 }, "changed it", undefined],
  ["delete", {}, "deleted it", undefined],
  ["restore", { content: "x" }, "brought it back", undefined],
] as const)("%s of %o: %s", (op, wrote, said, text) => {
  expect([describeVersion({ op, wrote }), textOf({ op, wrote })]).toEqual([said, text]);
});
