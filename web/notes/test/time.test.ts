import { describe, expect, test } from "vitest";
import { formatAgo, formatDuration, formatTime, parseTime } from "../src/note/time.ts";

describe("a place in a recording", () => {
  test.each([
    [0, "00:00"],
    [192_000, "03:12"],
    [192_999, "03:12"],
    [3_600_000, "1:00:00"],
    [3_792_000, "1:03:12"],
    [-5, "00:00"],
  ])("%i ms is shown as %s", (ms, text) => expect(formatTime(ms)).toBe(text));

  test.each([
    ["3:12", 192_000],
    [" 03:12 ", 192_000],
    ["3:5", 185_000],
    ["1:03:12", 3_792_000],
    ["90:00", 5_400_000],
    ["12", 720_000],
    ["90s", 90_000],
    ["12m", 720_000],
    ["1h 2m 3s", 3_723_000],
  ])("%j is read as %i ms", (text, ms) => expect(parseTime(text)).toBe(ms));

  test.each(["", "soon", "3:60", "1:60:00", "-3:00", "3.5", "99h", "25:00:00"])("%j is not a time", (text) =>
    expect(parseTime(text)).toBeUndefined(),
  );

  test("what is shown is read back as the same second", () => {
    for (let ms = 0; ms < 7_200_000; ms += 37_000) expect(parseTime(formatTime(ms))).toBe(ms);
  });
});

test.each([
  [20_000, "1 min"],
  [2_834_000, "47 min"],
  [3_600_000, "1 h"],
  [4_320_000, "1 h 12 min"],
  [3_599_000, "1 h"],
])("a duration of %i ms is %s", (ms, text) => expect(formatDuration(ms)).toBe(text));

describe("how long ago", () => {
  const now = Date.parse("2026-11-23T12:00:00Z");
  test.each([
    [0, "now"],
    [-4_000, "now"],
    [59_000, "now"],
    [5 * 60_000, "5 min"],
    [3 * 3_600_000, "3 h"],
    [2 * 86_400_000, "2 d"],
    [10 * 86_400_000, "13 Nov"],
    [400 * 86_400_000, "19 Oct 2025"],
  ])("%i ms is %s", (age, text) => expect(formatAgo(now - age, now)).toBe(text));
});
