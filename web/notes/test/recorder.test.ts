import { describe, expect, test } from "vitest";
import { elapsed, parseRecorder, type Recorder, setTo, toggle } from "../src/note/recorder.ts";

const paused: Recorder = { state: "paused", atMs: 5_000 };

describe("the recording clock", () => {
  test("runs from where it was, and pauses where it is", () => {
    const running = toggle(paused, 1_000);
    expect(elapsed(running, 4_000)).toBe(8_000);
    expect(toggle(running, 4_000)).toEqual({ state: "paused", atMs: 8_000 });
  });
  test("goes on running when it is put elsewhere", () => {
    expect(elapsed(setTo(toggle(paused, 0), 60_000, 2_000), 3_000)).toBe(61_000);
    expect(setTo(paused, 60_000, 2_000)).toEqual({ state: "paused", atMs: 60_000 });
  });
  test("does not run backwards when the device's clock does", () => expect(elapsed(toggle(paused, 1_000), 0)).toBe(5_000));
  test("survives being kept as text", () => {
    const running = toggle(paused, 1_000);
    expect(parseRecorder(JSON.stringify(running))).toEqual(running);
    expect(parseRecorder(JSON.stringify(paused))).toEqual(paused);
  });
  test.each([null, "", "{", "7", '{"state":"running","atMs":1}', '{"state":"paused","atMs":-1}'])("%j is no clock", (text) =>
    expect(parseRecorder(text)).toBeUndefined(),
  );
});
