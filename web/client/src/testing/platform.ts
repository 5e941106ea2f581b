import { Route } from "../route";
import type { Platform, SocketLike, Unsubscribe } from "../types";
import { createUuid } from "../uuid";

export interface FakePlatformOptions {
  /** The same seed gives the same ids and the same chances. Default 1. */
  seed?: number;
  /** What the clock shows at first, in ms since 1970. Default: some day in 2026. */
  start?: number;
}

/** A platform whose time stands still until a test moves it. */
export interface FakePlatform extends Platform {
  /** Moves time on by `ms` and runs, in order, every timer that falls due, and the microtasks between them. */
  advance(ms: number): Promise<void>;
  /** Sets the wall clock by `ms`, as a time server or a person does. Timers do not notice. */
  jump(ms: number): void;
  setOnline(isOnline: boolean): void;
  setVisible(isVisible: boolean): void;
  /** The machine has slept. */
  wake(): void;
  /** Where sockets lead from now on, over the fallback as well, and whether HTTP works. A fake server calls this. */
  connectTo(open: (url: string) => SocketLike, isReachable?: () => boolean): void;
  /** What was reported, oldest first. A test that expects nothing checks that this is empty. */
  readonly errors: readonly unknown[];
  /** How many timers are waiting. */
  readonly timers: number;
}

type Hint = Parameters<Parameters<Platform["onHint"]>[0]>[0];

interface Timer {
  readonly at: number;
  readonly run: () => void;
}

/** The longest chain of promises that is waited for between two timers. */
const MICROTASKS = 24;
/** A test that runs so many timers at once runs in circles. */
const MAX_TIMERS = 1_000_000;

export function createFakePlatform({ seed = 1, start = 1_790_000_000_000 }: FakePlatformOptions = {}): FakePlatform {
  let time = start;
  let jumped = 0;
  let isOnline = true;
  let isVisible = true;
  let open: ((url: string) => SocketLike) | undefined;
  let isReachable = () => false;
  const timers = new Set<Timer>();
  const errors: unknown[] = [];
  const listeners = new Set<(hint: Hint) => void>();
  const random = mulberry32(seed);
  const now = () => Math.floor(time + jumped); // timers may fall between two ms; clocks show whole ones
  const hint = (what: Hint) => {
    for (const listener of [...listeners]) listener(what);
  };

  const dueBy = (until: number) => {
    let first: Timer | undefined;
    for (const timer of timers) if (timer.at <= until && (first === undefined || timer.at < first.at)) first = timer;
    return first;
  };

  const setTimeout = (run: () => void, ms: number) => {
    const timer = { at: time + Math.max(0, ms), run };
    timers.add(timer);
    return timer;
  };
  const clearTimeout = (handle: unknown) => {
    timers.delete(handle as Timer);
  };
  const openSocket = (url: string) => {
    if (open === undefined) throw new Error("open socket: this fake platform has no server");
    return open(url);
  };

  return {
    now,
    random,
    uuid: createUuid(now, random),
    setTimeout,
    clearTimeout,
    steady: { setTimeout, clearTimeout },
    nextTask: (run) => timers.add({ at: time, run }),
    openSocket,
    loadFallback: async (host) =>
      new Route({ setTimeout, clearTimeout }, host, { isReachable: async () => isReachable(), openSocket }),
    isOnline: () => isOnline,
    isVisible: () => isVisible,
    onHint: (listener): Unsubscribe => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    reportError: (error) => errors.push(error),
    advance: async (ms) => {
      const until = time + ms;
      await microtasks();
      for (let ran = 0, timer = dueBy(until); timer !== undefined; timer = dueBy(until)) {
        if (++ran > MAX_TIMERS) throw new Error(`advance ${ms} ms: timers set each other without end`);
        time = Math.max(time, timer.at);
        timers.delete(timer);
        timer.run();
        await microtasks();
      }
      time = until;
    },
    jump: (ms) => {
      jumped += ms;
    },
    setOnline: (value) => {
      isOnline = value;
      hint(value ? "online" : "offline");
    },
    setVisible: (value) => {
      isVisible = value;
      hint(value ? "visible" : "hidden");
    },
    wake: () => hint("woken"),
    connectTo: (next, answers = () => false) => {
      open = next;
      isReachable = answers;
    },
    errors,
    get timers() {
      return timers.size;
    },
  };
}

async function microtasks(): Promise<void> {
  for (let turn = 0; turn < MICROTASKS; turn++) await undefined;
}

/** Numbers from 0 to 1, the same ones for the same seed. Public domain, by Tommy Ettinger. */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
