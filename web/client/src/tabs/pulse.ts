import type { Platform } from "../types";

/** How long it may take to notice what a tab sends over its socket: longer than a page is busy, and shorter than a person waits. */
const PULSE_MS = 4_000;

/** Whether the other end of a link lives: asked whenever something is sent, one question at a time. */
export class Pulse {
  readonly #platform: Platform;
  readonly #ask: () => void;
  readonly #stopped: () => void;
  #timer: unknown;

  constructor(platform: Platform, ask: () => void, stopped: () => void) {
    this.#platform = platform;
    this.#ask = ask;
    this.#stopped = stopped;
  }

  feel(): void {
    if (this.#timer !== undefined) return;
    const askedAt = this.#platform.now();
    this.#ask();
    this.#timer = this.#platform.steady.setTimeout(() => {
      this.#timer = undefined;
      // A timer that is late has been asleep itself, and the answer lies behind it.
      if (this.#platform.now() - askedAt > 2 * PULSE_MS) this.feel();
      else this.#stopped();
    }, PULSE_MS);
  }

  /** Something came. */
  felt(): void {
    if (this.#timer === undefined) return;
    this.#platform.steady.clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
