import { resolveObjectURL } from "node:buffer";
import { createContext, runInContext } from "node:vm";
import { afterEach, describe, expect, it, vi } from "vitest";
import { createPlatform } from "../src/env";
import { createSteadyTimers, type TimerWorker } from "../src/steady";
import { createFakePlatform, type FakePlatform } from "../src/testing/platform";
import type { RealtimeClientOptions } from "../src/types";
import { jwt, setUp } from "./wire";

const MINUTE = 60_000;
/** How long a page that is hidden has its timers as they are due; Chromium 148 gives it a minute. */
const GRACE_MS = 10_000;

/** A worker, whose timers are on time. */
class FakeWorker implements TimerWorker {
  onmessage: TimerWorker["onmessage"] = null;
  onerror: TimerWorker["onerror"] = null;
  isTerminated = false;
  readonly #time: FakePlatform;

  constructor(time: FakePlatform) {
    this.#time = time;
  }

  postMessage([handle, ms]: [unknown, number]): void {
    const say = () => this.onmessage?.call(this as never, { data: handle } as MessageEvent);
    this.#time.setTimeout(() => this.isTerminated || say(), ms);
  }

  terminate(): void {
    this.isTerminated = true;
  }

  fail(): void {
    this.onerror?.call(this as never, new Event("error") as ErrorEvent);
  }
}

/** A page whose timers come once a minute while it is hidden, but for the first seconds. */
function openPage({ hasWorkers = true } = {}) {
  const time = createFakePlatform();
  const began = time.now();
  let hiddenAt = began;
  time.onHint((hint) => {
    if (hint === "hidden") hiddenAt = time.now();
  });
  const isSlow = () => !time.isVisible() && time.now() - hiddenAt >= GRACE_MS;
  const workers: FakeWorker[] = [];
  let tries = 0;
  const setTimeout = (fn: () => void, ms: number) => {
    const handle: { due?: unknown } = {};
    const dueAt = time.now() + ms;
    const look = () => {
      // Hidden meanwhile or before, it comes with the next full minute.
      const late = isSlow() ? (MINUTE - ((time.now() - began) % MINUTE)) % MINUTE : 0;
      if (late === 0) fn();
      else handle.due = time.setTimeout(fn, late);
    };
    handle.due = time.setTimeout(look, dueAt - time.now());
    return handle;
  };
  const clearTimeout = (handle: unknown) => time.clearTimeout((handle as { due?: unknown } | undefined)?.due);
  const page = { ...time, setTimeout, clearTimeout };
  const openWorker = () => {
    tries++;
    if (!hasWorkers) throw new Error("Refused to create a worker");
    const worker = new FakeWorker(time);
    workers.push(worker);
    return worker;
  };
  const steady = createSteadyTimers(() => page, openWorker);
  return {
    ...{ time, workers, steady },
    platform: { ...page, steady },
    /** How often a worker was asked for. */
    tries: () => tries,
    atWork: () => workers.filter((worker) => !worker.isTerminated),
  };
}

/** A connection of such a page, whose server answers at once. */
async function connected(options: Parameters<typeof openPage>[0] & { getToken?: RealtimeClientOptions["getToken"] } = {}) {
  const page = openPage(options);
  const world = setUp({ platform: page.platform, ...(options.getToken && { getToken: options.getToken }) });
  const release = world.connection.need();
  await page.time.advance(0);
  world.newest().open();
  let answered = world.newest().sent.length;
  const pass = async (ms: number) => {
    for (let left = ms; left > 0; left -= 500) {
      if (world.newest().sent.length > answered) world.newest().answer();
      answered = world.newest().sent.length;
      await page.time.advance(Math.min(500, left));
    }
  };
  return { ...page, ...world, release, pass, beats: () => world.newest().sent.length };
}

describe("a connection in a hidden page", () => {
  it("[trap 22] keeps its beat, timed by a worker, while the page's timers come once a minute", async () => {
    const { time, pass, beats, wires, status, workers } = await connected();
    await pass(20_000);
    time.setVisible(false);
    await pass(2 * MINUTE);
    for (let minute = 0; minute < 30; minute++) {
      const before = beats();
      await pass(MINUTE);
      expect(beats() - before).toBe(4);
    }
    expect([wires.length, workers.length, status()]).toEqual([1, 1, "connected"]);
  });

  it("[trap 22] [C3] is not late with what was due soon when it was hidden", async () => {
    const { time, pass, beats, atWork } = await connected();
    const before = beats();
    while (beats() === before) await pass(500);
    await pass(1_000);
    time.setVisible(false);
    await pass(4_000);
    expect([beats() - before, atWork().length]).toEqual([1, 0]);
    await pass(20_000); // the page's timer would come after another quarter of a minute
    expect([beats() - before, atWork().length]).toEqual([2, 1]);
  });

  it("[trap 22] [trap 25] replaces its token in time, which it had before it was hidden", async () => {
    const goodFor = 10.5 * MINUTE; // and replaced a minute before
    const { time, pass, asked } = await connected({
      getToken: () => jwt({ exp: (createFakePlatform().now() + goodFor) / 1_000 }),
    });
    await pass(1_000);
    time.setVisible(false);
    await pass(9 * MINUTE);
    expect(asked.length).toBe(1);
    await pass(MINUTE / 2);
    expect(asked.length).toBe(2);
  });

  it("has no worker when it is only passed over", async () => {
    const { time, pass, tries } = await connected();
    time.setVisible(false);
    await pass(4_000);
    time.setVisible(true);
    await pass(2 * MINUTE);
    expect(tries()).toBe(0);
  });

  it("[trap 21] [trap 22] finds a half-open socket there within 25 s of its last sign of life", async () => {
    const { time, pass, wires, newest } = await connected();
    time.setVisible(false);
    await pass(2 * MINUTE);
    expect(wires.length).toBe(1);
    await time.advance(25_000);
    expect(newest().isClosed).toBe(true);
  });

  it("has a worker for as long as it is hidden and connected, and not before it has connected", async () => {
    const { time, tries, atWork, platform } = openPage();
    time.setVisible(false);
    const { connection, newest } = setUp({ platform });
    await time.advance(MINUTE);
    const release = connection.need();
    await time.advance(5_000);
    expect(tries()).toBe(0); // only an open one has something to keep
    newest().open();
    expect(atWork().length).toBe(1);
    release();
    expect([tries(), atWork().length]).toEqual([1, 0]);
  });

  it("ends the worker when the socket is lost, and with the next beat when the page is looked at", async () => {
    const { time, pass, atWork, newest, workers, status } = await connected();
    expect(atWork().length).toBe(0);
    time.setVisible(false);
    await pass(2 * MINUTE);
    expect(atWork().length).toBe(1);
    time.setVisible(true);
    await pass(15_000);
    expect(atWork().length).toBe(0);
    time.setVisible(false);
    await pass(2 * MINUTE);
    expect(atWork().length).toBe(1);
    newest().lose();
    expect([status(), atWork().length, workers.length]).toEqual(["reconnecting", 0, 2]);
  });

  it("beats with the page's timers where there may be no worker, and asks for none again", async () => {
    const { time, pass, beats, status, tries, wires } = await connected({ hasWorkers: false });
    for (const isVisible of [false, true, false]) {
      time.setVisible(isVisible);
      await pass(2 * MINUTE);
    }
    const before = beats();
    await pass(10 * MINUTE);
    expect(beats() - before).toBe(10);
    expect([wires.length, status(), tries(), time.errors]).toEqual([1, "connected", 1, []]);
  });

  it("beats with the page's timers after a worker that failed", async () => {
    const { time, pass, beats, status, tries, wires, workers, atWork } = await connected();
    time.setVisible(false);
    await pass(2 * MINUTE);
    workers[0]?.fail(); // so ends what a policy forbids, too
    expect(atWork().length).toBe(0);
    const before = beats();
    await pass(10 * MINUTE);
    expect(beats() - before).toBeGreaterThanOrEqual(9);
    expect([wires.length, status(), tries()]).toEqual([1, "connected", 1]);
  });
});

describe("steady timers", () => {
  it("are the page's while it is visible", async () => {
    const { steady, time, tries } = openPage();
    const began = time.now();
    const rung: number[] = [];
    steady.setTimeout(() => rung.push(time.now() - began), 5_000);
    await time.advance(MINUTE);
    expect([rung, tries(), time.timers]).toEqual([[5_000], 0, 0]);
  });

  it("ring on time in a hidden page, once, and never when they were cleared", async () => {
    const { steady, time, atWork } = openPage();
    const began = time.now();
    const rung: number[] = [];
    const ring = () => rung.push(time.now() - began);
    time.setVisible(false);
    for (const ms of [70_000, 5_000]) steady.setTimeout(ring, ms);
    const cleared = steady.setTimeout(() => expect.unreachable(), 6_000);
    steady.clearTimeout(cleared);
    steady.clearTimeout(cleared);
    steady.clearTimeout(undefined);
    expect(atWork().length).toBe(1);
    await time.advance(10 * MINUTE);
    expect([rung, time.timers, atWork().length]).toEqual([[5_000, 70_000], 0, 0]);
  });
});

describe("the browser's platform", () => {
  afterEach(() => {
    vi.unstubAllGlobals();
    vi.useRealTimers();
  });

  it("keeps time with the page's timers where there is no page", () => {
    vi.useFakeTimers();
    const rung = vi.fn();
    const { steady } = createPlatform();
    steady.clearTimeout(steady.setTimeout(rung, 1_000));
    steady.setTimeout(rung, 1_000);
    vi.advanceTimersByTime(1_000);
    expect([rung.mock.calls.length, vi.getTimerCount()]).toEqual([1, 0]);
  });

  it("gives a hidden page a worker, whose program rings as it is told", async () => {
    vi.useFakeTimers();
    vi.stubGlobal("document", { visibilityState: "hidden" });
    const urls: string[] = [];
    class StubWorker {
      postMessage = vi.fn();
      terminate = vi.fn();
      constructor(url: string) {
        urls.push(url);
      }
    }
    vi.stubGlobal("Worker", StubWorker);
    const { steady } = createPlatform();
    for (const ms of [15_000, 10_000]) steady.clearTimeout(steady.setTimeout(() => {}, ms));
    const [url = ""] = urls;
    const program = (await resolveObjectURL(url)?.text()) ?? "";

    const said: string[] = [];
    const scope = {
      ...{ URL, setTimeout, location: url },
      postMessage: (handle: number) => said.push(`${handle} at ${Date.now() - began}`),
      onmessage: (_: { data: number[] }) => {},
    };
    const began = Date.now();
    runInContext(program, createContext(scope));
    expect(resolveObjectURL(url)).toBeUndefined(); // it is not kept
    for (const data of [
      [1, 5_000],
      [2, 9_000],
    ])
      scope.onmessage({ data });
    vi.advanceTimersByTime(20_000);
    expect(said).toEqual(["1 at 5000", "2 at 9000"]);
  });
});
