import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createFakePlatform } from "../src/testing/platform";
import { createUuid } from "../src/uuid";

const { random } = createFakePlatform();

const VERSION_7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const timeOf = (uuid: string) => Number.parseInt(uuid.slice(0, 13).replace("-", ""), 16);

describe("uuid", () => {
  it("ids are version 7 and only grow, whatever the clock does", () => {
    const steps = fc.array(
      fc.oneof(fc.constant(0), fc.integer({ min: -3_600_000, max: 3_600_000 }), fc.double({ min: 0, max: 1, noNaN: true })),
    );
    fc.assert(
      fc.property(steps, fc.infiniteStream(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })), (jumps, chances) => {
        let now = 1_790_000_000_000;
        const uuid = createUuid(
          () => now,
          () => chances.next().value as number,
        );
        let last = "";
        for (const jump of jumps) {
          now += jump;
          const id = uuid();
          expect(id).toMatch(VERSION_7);
          expect(id > last).toBe(true);
          last = id;
        }
      }),
    );
  });

  it("100,000 ids of one ms are all different and in order", () => {
    const uuid = createUuid(() => 5, random);
    const ids = Array.from({ length: 100_000 }, () => uuid());
    expect(new Set(ids).size).toBe(ids.length);
    expect([...ids].sort()).toEqual(ids);
    expect(timeOf(ids.at(-1) ?? "")).toBeLessThan(5 + 100_000 / 3_000 + 2);
  });

  it("shows the time at which it was made", () => {
    expect(timeOf(createUuid(() => 1_790_000_000_123.7, random)())).toBe(1_790_000_000_123);
  });
});
