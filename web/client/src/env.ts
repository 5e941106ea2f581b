/** The platform as browsers have it. Nothing else in this package reads a clock, draws a random number or opens a socket. */
import { ChoraleError } from "./errors";
import { createSteadyTimers } from "./steady";
import type { Platform, SocketLike, Unsubscribe } from "./types";
import { createUuid } from "./uuid";

/** How much later than due a timer must be for the machine to have slept. */
const WAKE_GAP_MS = 10_000;
const WAKE_TICK_MS = 5_000;

/** The program of a worker that keeps time (steady.ts). A text, because a file would have to be served by each app. */
const KEEP_TIME = "URL.revokeObjectURL(location);onmessage=({data:[handle,ms]})=>setTimeout(postMessage,ms,handle)";

/** The browser's platform, with parts replaced. */
export function createPlatform(replaced: Partial<Platform> = {}): Platform {
  const now = replaced.now ?? (() => Date.now());
  const random = replaced.random ?? secureRandom;
  const platform: Platform = {
    now,
    random,
    setTimeout: (fn, ms) => setTimeout(fn, ms),
    clearTimeout: (handle) => clearTimeout(handle as ReturnType<typeof setTimeout>),
    steady: createSteadyTimers(
      () => platform,
      () => new Worker(URL.createObjectURL(new Blob([KEEP_TIME]))),
    ),
    nextTask,
    uuid: createUuid(now, random),
    openSocket,
    loadFallback: async (host) => {
      // Only when HTTP works: a browser may remember for good that a module could not be loaded.
      await fetch(`${host.url}/api/ping`);
      const { createFallback } = await import("./fallback");
      return createFallback(platform, host, (input, init) => fetch(input, init));
    },
    isOnline: () => typeof navigator === "undefined" || navigator.onLine !== false,
    isVisible: () => typeof document === "undefined" || document.visibilityState !== "hidden",
    onHint,
    reportError: (error) => {
      if (typeof reportError === "function") reportError(error);
      else console.error(error);
    },
    ...replaced,
  };
  return platform;
}

/** An id without a platform, as the browser's would make it. */
export function newUuid(): string {
  return createUuid(() => Date.now(), secureRandom)();
}

function secureRandom(): number {
  const [word = 0] = crypto.getRandomValues(new Uint32Array(1));
  return word / 2 ** 32;
}

function nextTask(fn: () => void): void {
  if (typeof MessageChannel === "undefined") {
    setTimeout(fn, 0);
    return;
  }
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => {
    port1.close(); // an open one keeps Node alive
    fn();
  };
  port2.postMessage(undefined);
}

function openSocket(url: string): SocketLike {
  if (typeof WebSocket === "undefined") {
    throw new ChoraleError(
      "no_websocket",
      "This platform has no WebSocket. In Node 20 pass platform.openSocket, made with the ws package; Node 22 has one.",
    );
  }
  const socket = new WebSocket(url);
  const like: SocketLike = {
    send: (data) => socket.send(data),
    close: (code, reason) => socket.close(code, reason),
    onopen: null,
    onmessage: null,
    onclose: null,
  };
  socket.onopen = () => like.onopen?.();
  socket.onmessage = (event: MessageEvent<unknown>) => {
    if (typeof event.data === "string") like.onmessage?.(event.data);
  };
  socket.onclose = (event) => like.onclose?.(event.code, event.reason);
  return like;
}

function onHint(listener: Parameters<Platform["onHint"]>[0]): Unsubscribe {
  if (typeof window === "undefined") return () => {};
  const online = () => listener("online");
  const offline = () => listener("offline");
  const visibility = () => listener(document.visibilityState === "hidden" ? "hidden" : "visible");
  const resumed = () => listener("woken");
  const shown = (event: PageTransitionEvent) => {
    if (event.persisted) listener("woken");
  };
  window.addEventListener("online", online);
  window.addEventListener("offline", offline);
  window.addEventListener("pageshow", shown);
  document.addEventListener("resume", resumed); // the browser had frozen the page
  document.addEventListener("visibilitychange", visibility);
  // A timer that comes much too late is how a page learns that its machine slept.
  let last = Date.now();
  const timer = setInterval(() => {
    const at = Date.now();
    // Those of a hidden page come that late while it is awake, and it is told when it is looked at.
    if (at - last > WAKE_TICK_MS + WAKE_GAP_MS && document.visibilityState !== "hidden") listener("woken");
    last = at;
  }, WAKE_TICK_MS);
  return () => {
    window.removeEventListener("online", online);
    window.removeEventListener("offline", offline);
    window.removeEventListener("pageshow", shown);
    document.removeEventListener("resume", resumed);
    document.removeEventListener("visibilitychange", visibility);
    clearInterval(timer);
  };
}
