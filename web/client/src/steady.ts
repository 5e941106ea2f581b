/**
 * Timers that are on time in a hidden page. Its own come there once a second, or once a minute, as the browser likes; those of a worker
 * when they are due. So a worker times what is set while the page is hidden, for as long as that lasts and somebody waits.
 */
import type { Platform, Timers } from "./types";

/** What of a worker is needed. It is sent `[handle, ms]`, and says `handle` that much later. */
export type TimerWorker = Pick<Worker, "postMessage" | "terminate" | "onmessage" | "onerror">;

/**
 * The page's timers go on beside the worker: whichever is first counts, and a worker that fails is not missed. `openWorker` throws where
 * there are no workers, or where the page may have none.
 */
export function createSteadyTimers(page: () => Timers & Pick<Platform, "isVisible">, openWorker: () => TimerWorker): Timers {
  const waiting = new Map<unknown, () => void>();
  let worker: TimerWorker | undefined;
  let isRefused = false;

  const dismiss = () => {
    worker?.terminate();
    worker = undefined;
  };
  const refuse = () => {
    isRefused = true; // each further try would be another complaint in the console
    dismiss();
  };
  const rest = () => {
    if (waiting.size === 0 || page().isVisible()) dismiss();
  };
  /** The worker is not told: what it says of this timer later is said to nobody. */
  const drop = (handle: unknown) => {
    const fn = waiting.get(handle);
    waiting.delete(handle);
    page().clearTimeout(handle);
    return fn;
  };
  const ring = (handle: unknown) => {
    drop(handle)?.();
    rest(); // only now: who rings and waits again keeps the worker
  };

  return {
    setTimeout: (fn, ms) => {
      const handle = page().setTimeout(() => ring(handle), ms);
      waiting.set(handle, fn);
      if (isRefused || page().isVisible()) return handle;
      try {
        if (!worker) {
          worker = openWorker();
          worker.onmessage = ({ data }) => ring(data);
          worker.onerror = refuse;
        }
        worker.postMessage([handle, ms]);
      } catch {
        refuse();
      }
      return handle;
    },
    clearTimeout: (handle) => {
      drop(handle);
      rest();
    },
  };
}
