/** Frames of one socket, handed on in their order: at once while there are few, and many together when they come without a pause. */
import type { Platform } from "./types";

/**
 * Frames that are handled in the task that brought them, before the page gets a task of its own. A browser makes a task of each frame, and
 * may run hundreds before it lets a page's own tasks have a turn. An app renders after each; React puts some of that work off for a
 * task of its own, and takes it for a loop when that has not come after 50 renders.
 */
const AT_ONCE = 16;
/** Frames that are handled in one task, which is not to be so long that anybody sees the page stand still. */
const AT_MOST = 512;

export interface Intake {
  take(data: string): void;
  /** Handles what waits, in this task. */
  flush(): void;
}

/** `handle` does not throw. */
export function createIntake(platform: Pick<Platform, "nextTask">, handle: (data: string) => void): Intake {
  /** Frames since a task found nothing that waits. */
  let count = 0;
  /** What is left to the next task. It needs no bound: without it the browser would hold the same. */
  const waiting: string[] = [];
  const flush = (most = waiting.length) => {
    for (const data of waiting.splice(0, most)) handle(data);
  };
  const turn = () => {
    if (waiting.length === 0) count = 0;
    else {
      flush(AT_MOST);
      platform.nextTask(turn);
    }
  };
  return {
    take: (data) => {
      if (++count <= AT_ONCE) {
        handle(data);
        return;
      }
      waiting.push(data);
      if (count === AT_ONCE + 1) platform.nextTask(turn);
    },
    flush,
  };
}
