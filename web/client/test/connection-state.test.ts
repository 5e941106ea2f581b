import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  backoffMs,
  type ConnectionEvent,
  type ConnectionState,
  FRESH,
  type Input,
  next,
  statusOf,
} from "../src/connection-state";

const events: fc.Arbitrary<ConnectionEvent> = fc.oneof(
  ...(["needed", "unneeded", "token", "opened", "stable", "due", "hint", "reconnect", "close"] as const).map((type) =>
    fc.constant({ type }),
  ),
  fc.record({ type: fc.constant("tokenFailed" as const), message: fc.constant("no"), final: fc.boolean() }),
  fc.record({
    type: fc.constant("lost" as const),
    code: fc.constantFrom(1000, 1006, 1009, 1012, 4001, 4101, 4200, 4201, 4290),
    reason: fc.constantFrom("", "drainMs=500"),
  }),
);
const inputs: fc.Arbitrary<Input> = fc.record({
  now: fc.nat(1e9),
  roll: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  isHidden: fc.boolean(),
});
const steps = fc.array(fc.tuple(events, inputs), { maxLength: 60 });
const CALM: Input = { now: 0, roll: 0.5, isHidden: false };

function run(script: readonly ConnectionEvent[], input: Input = CALM): ConnectionState {
  return script.reduce<ConnectionState>((state, event) => next(state, event, input).state, { name: "idle", trail: FRESH });
}

const OPEN: ConnectionEvent[] = [{ type: "needed" }, { type: "token" }, { type: "opened" }];
const lost = (code: number, reason = ""): ConnectionEvent => ({ type: "lost", code, reason });

describe("connection machine", () => {
  it("what a state begins, its end stops: sockets are dropped and waits are stopped unless they ended by themselves", () => {
    fc.assert(
      fc.property(steps, (script) => {
        let state: ConnectionState = { name: "idle", trail: FRESH };
        let hasSocket = false;
        let isWaiting = false;
        for (const [event, input] of script) {
          if (event.type === "lost") hasSocket = false;
          if (event.type === "due") isWaiting = false;
          const was = state.name;
          const { state: after, effects } = next(state, event, input);
          // Events that no socket or timer of this moment can cause are left out of the count.
          if (event.type === "lost" && was !== "opening" && was !== "open") expect(after).toEqual(state);
          for (const effect of effects) {
            if (effect.do === "openSocket") {
              expect(hasSocket).toBe(false);
              hasSocket = true;
            }
            if (effect.do === "dropSocket") hasSocket = false;
            if (effect.do === "wait") isWaiting = true;
            if (effect.do === "stopWaiting") isWaiting = false;
          }
          state = after;
          hasSocket &&= state.name === "opening" || state.name === "open";
          expect(isWaiting).toBe(state.name === "waiting");
        }
      }),
    );
  });

  it("[trap 24] attempts are forgotten by stable alone, and closed is for ever", () => {
    fc.assert(
      fc.property(steps, (script) => {
        let state: ConnectionState = { name: "idle", trail: FRESH };
        for (const [event, input] of script) {
          const { state: after } = next(state, event, input);
          if (state.name === "closed") expect(after).toBe(state);
          else if (after.name !== "closed" && after.trail.attempt < state.trail.attempt) {
            expect([event.type, state.name]).toEqual([event.type === "unneeded" ? "unneeded" : "stable", "open"]);
          }
          state = after;
        }
      }),
    );
  });

  it("every state but idle, open and the ends asks for something or has asked for it", () => {
    fc.assert(
      fc.property(steps, (script) => {
        let state: ConnectionState = { name: "idle", trail: FRESH };
        for (const [event, input] of script) {
          const { state: after, effects } = next(state, event, input);
          if (after.name !== state.name) {
            const asks = effects.map((effect) => effect.do);
            if (after.name === "fetching") expect(asks).toContain("fetchToken");
            if (after.name === "opening") expect(asks).toContain("openSocket");
            if (after.name === "waiting") expect(asks).toContain("wait");
          }
          state = after;
        }
      }),
    );
  });

  it("there is no dead end: whoever needs a connection and presses the button gets one, unless it was closed", () => {
    const help: readonly ConnectionEvent["type"][] = ["needed", "reconnect", "token", "opened"];
    fc.assert(
      fc.property(steps, inputs, (script, input) => {
        const reached = script.reduce<ConnectionState>((state, [event, when]) => next(state, event, when).state, {
          name: "idle",
          trail: FRESH,
        });
        fc.pre(reached.name !== "closed");
        const helped = help.reduce<ConnectionState>(
          (state, type) => next(state, { type } as ConnectionEvent, input).state,
          reached,
        );
        expect(helped.name).toBe("open");
      }),
    );
  });

  it("closing ends what is under way, from wherever it comes", () => {
    fc.assert(
      fc.property(steps, inputs, (script, input) => {
        const reached = script.reduce<ConnectionState>((state, [event, when]) => next(state, event, when).state, {
          name: "idle",
          trail: FRESH,
        });
        const { state, effects } = next(reached, { type: "close" }, input);
        expect(state.name).toBe("closed");
        const has = (name: string) => effects.some((effect) => effect.do === name);
        expect(has("dropSocket")).toBe(reached.name === "opening" || reached.name === "open");
        expect(has("stopWaiting")).toBe(reached.name === "waiting");
      }),
    );
  });

  it("a wait is never longer than what its cause allows, nor shorter than nothing", () => {
    fc.assert(
      fc.property(steps, (script) => {
        let state: ConnectionState = { name: "idle", trail: FRESH };
        for (const [event, input] of script) {
          const { state: after, effects } = next(state, event, input);
          for (const effect of effects) {
            if (effect.do !== "wait") continue;
            expect(effect.ms).toBeGreaterThanOrEqual(0);
            // A server without room: five minutes, and three times that in a tab that nobody looks at.
            expect(effect.ms).toBeLessThanOrEqual(300_250 * (input.isHidden ? 3 : 1));
            expect(after.name === "waiting" && after.until).toBe(input.now + effect.ms);
          }
          state = after;
        }
      }),
    );
  });

  it.each([
    [4000, "failed"],
    [4099, "failed"],
    [1006, "waiting"],
    [1009, "waiting"],
    [1012, "waiting"],
    [4101, "waiting"],
    [4200, "waiting"],
    [4201, "waiting"],
    [4290, "waiting"],
  ])("close code %i leads to %s", (code, name) => {
    expect(run([...OPEN, lost(code)]).name).toBe(name);
  });

  it("[C1] a refused token is replaced once, then a person is asked", () => {
    const refused = [lost(4101), { type: "due" }, { type: "token" }, lost(4101)] as const;
    expect(run([{ type: "needed" }, { type: "token" }, ...refused]).name).toBe("needsAuth");
    const first = run([{ type: "needed" }, { type: "token" }, lost(4101)]);
    expect(next(first, { type: "due" }, CALM).effects).toEqual([{ do: "fetchToken", fresh: true }]);
  });

  it("a token that only a person can bring ends the tries, also of a connection that is open; the next try asks for a new one", () => {
    const failed = (final: boolean): ConnectionEvent => ({ type: "tokenFailed", message: "sign in", final });
    expect(run([{ type: "needed" }, failed(true)])).toMatchObject({ name: "needsAuth", reason: { message: "sign in" } });
    expect(run([{ type: "needed" }, failed(false)]).name).toBe("waiting");
    expect(run([...OPEN, failed(false)])).toEqual(run(OPEN));
    const { state, effects } = next(run(OPEN), failed(true), CALM);
    expect([state.name, effects]).toEqual(["needsAuth", [{ do: "dropSocket" }]]);
    expect(next(state, { type: "reconnect" }, CALM).effects).toEqual([{ do: "fetchToken", fresh: true }]);
  });

  it("[trap 23] a restart spreads its clients over the window that the server names", () => {
    const at = (roll: number, reason: string) => {
      const state = run([...OPEN, lost(1012, reason)], { ...CALM, roll });
      return state.name === "waiting" ? state.until : Number.NaN;
    };
    expect([at(0, "drainMs=8000"), at(0.5, "drainMs=8000"), at(0.99, "drainMs=8000")]).toEqual([0, 4000, 7920]);
    expect(at(0.5, "")).toBe(500);
    expect(at(0.5, "drainMs=99999999999")).toBe(150_000);
  });

  it("who comes back from a restart before the server does waits as after a first failure", () => {
    const early = run([...OPEN, lost(1012, "drainMs=1000"), { type: "due" }, { type: "token" }, lost(1006)], {
      ...CALM,
      roll: 1,
    });
    expect(early).toMatchObject({ name: "waiting", until: backoffMs(0, 1), trail: { attempt: 1 } });
  });

  it("a hint cuts a wait to half a second and never makes it longer", () => {
    fc.assert(
      fc.property(fc.nat(100_000), inputs, (ms, input) => {
        const state: ConnectionState = {
          name: "waiting",
          trail: FRESH,
          until: input.now + ms,
          reason: { code: "", message: "" },
        };
        const { state: after } = next(state, { type: "hint" }, input);
        if (after.name !== "waiting") throw new Error("a hint ended the wait");
        expect(after.until).toBeLessThanOrEqual(input.now + Math.min(ms, 500));
      }),
    );
  });

  it("[trap 23] 10,000 clients of one outage come back spread out: no 100 ms see more than three times the mean of the attempt", () => {
    const random = seeded(7);
    for (let attempt = 0; attempt <= 10; attempt++) {
      const window = Math.min(30_000, 500 * 2 ** attempt);
      const perSlot = slots(Array.from({ length: 10_000 }, () => backoffMs(attempt, random())));
      expect(Math.max(...perSlot)).toBeLessThanOrEqual((3 * 10_000) / (window / 100));
    }
  });

  it("[trap 23] 10,000 whole schedules do not fall into step: no 100 ms see more than three times the mean of the two seconds around", () => {
    const random = seeded(11);
    const connects: number[] = [];
    for (let client = 0; client < 10_000; client++) {
      let at = 0;
      for (let attempt = 0; attempt < 10; attempt++) {
        at += backoffMs(attempt, random());
        connects.push(at);
      }
    }
    const perSlot = slots(connects);
    const minute = 600;
    for (let slot = 0; slot < minute; slot++) {
      const around = perSlot.slice(Math.max(0, slot - 10), slot + 10);
      const mean = around.reduce((sum, count) => sum + count, 0) / around.length;
      expect(perSlot[slot]).toBeLessThanOrEqual(3 * mean);
    }
  });

  it("a hidden tab waits longer", () => {
    const until = (isHidden: boolean) => {
      const state = run([...OPEN, lost(1006)], { ...CALM, isHidden });
      return state.name === "waiting" ? state.until : Number.NaN;
    };
    expect(until(true)).toBe(3 * until(false));
  });

  it("a person is told the truth about each state", () => {
    const seen = [
      run([]),
      run([{ type: "needed" }]),
      run(OPEN),
      run([...OPEN, lost(1006)]),
      run([...OPEN, lost(4001)]),
      run([{ type: "close" }]),
    ].map((state) => statusOf(state, true));
    expect(seen).toEqual(["idle", "connecting", "connected", "reconnecting", "failed", "closed"]);
    expect(statusOf(run([...OPEN, lost(1006)]), false)).toBe("offline");
    expect(statusOf(run(OPEN), false)).toBe("connected");
  });
});

/** How many of these times, in ms, fall into each 100 ms. */
function slots(times: readonly number[]): number[] {
  const counts: number[] = [];
  for (const time of times) {
    const slot = Math.floor(time / 100);
    counts[slot] = (counts[slot] ?? 0) + 1;
  }
  return Array.from(counts, (count) => count ?? 0);
}

function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
