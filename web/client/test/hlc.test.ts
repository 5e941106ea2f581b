import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { clampTime, formatTime, HybridClock, timeOf } from "../src/hlc";

const START = 1_790_000_000_000;
const millis = fc.integer({ min: 0, max: 0xffff_ffff_ffff });
const counter = fc.integer({ min: 0, max: 0xffff });

describe("HybridClock", () => {
  it("[M2] times have 16 hex digits and order as strings", () => {
    fc.assert(
      fc.property(millis, counter, millis, counter, (ms1, n1, ms2, n2) => {
        const [a, b] = [formatTime(ms1, n1), formatTime(ms2, n2)];
        expect(a).toMatch(/^[0-9a-f]{16}$/);
        expect(a < b).toBe(ms1 < ms2 || (ms1 === ms2 && n1 < n2));
      }),
    );
  });

  it("[trap 14] each time is later than all before it, whatever the wall clock does", () => {
    const event = fc.oneof(
      fc.record({ now: fc.integer({ min: 0, max: 2 ** 45 }) }),
      fc.record({ at: fc.tuple(fc.integer({ min: 0, max: 2 ** 45 }), counter).map(([ms, n]) => formatTime(ms, n)) }),
    );
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), (events) => {
        const clock = new HybridClock();
        let last = "";
        for (const each of events) {
          if ("at" in each) {
            clock.receive(each.at);
            if (each.at > last) last = each.at;
          } else {
            const time = clock.tick(each.now);
            expect(time > last).toBe(true);
            last = time;
          }
        }
      }),
    );
  });

  it("borrows a millisecond when its counter is full", () => {
    const clock = new HybridClock();
    clock.receive(formatTime(START, 0xffff));
    expect(clock.tick(START)).toBe(formatTime(START + 1, 0));
  });

  it("ignores what is no time", () => {
    const clock = new HybridClock();
    for (const junk of ["", "xyz", "0192F0C12B3C0003", formatTime(START, 0).slice(1), `${formatTime(START, 0)}@c`])
      clock.receive(junk);
    expect(clock.tick(5)).toBe(formatTime(5, 0));
  });

  it("[trap 13] goes back to what is in the log after it was wrong by years", () => {
    const clock = new HybridClock();
    const tenYears = START + 10 * 365 * 86_400_000;
    const written = clock.tick(tenYears);
    const inTheLog = clampTime(written, START);
    clock.receive(inTheLog);
    clock.setBack();
    const next = clock.tick(START + 1_000);
    expect(next > inTheLog).toBe(true);
    expect(next < formatTime(START + 61_000, 0)).toBe(true);
  });
});

describe("clampTime", () => {
  it("[M2] sets back what is more than 60 s ahead, and keeps the counter", () => {
    expect(clampTime(formatTime(START + 60_000, 7), START)).toBe(formatTime(START + 60_000, 7));
    expect(clampTime(formatTime(START + 60_001, 7), START)).toBe(formatTime(START + 60_000, 7));
    expect(timeOf(`${formatTime(START, 7)}@client`)).toBe(formatTime(START, 7));
  });
});
