/**
 * Hybrid logical time: 12 hex digits of ms since 1970 and 4 of a counter, e.g. `0192f0c12b3c0003`. Times order as ASCII strings, which
 * is why their width is fixed. With `@` and a client id a time becomes a stamp (docs/protocol.md, section 7).
 */

/** How far ahead of its own clock a server accepts a time (M2), in ms. */
const MAX_AHEAD_MS = 60_000;
const MAX_COUNTER = 0xffff;
const WELL_FORMED = /^[0-9a-f]{16}$/;

export function formatTime(ms: number, counter: number): string {
  return ms.toString(16).padStart(12, "0") + counter.toString(16).padStart(4, "0");
}

/** The time of a stamp: what stands before the `@`. */
export function timeOf(stamp: string): string {
  return stamp.slice(0, 16);
}

/** What a server makes of a time that is too far ahead of it: 60 s ahead, with the same counter (M2). */
export function clampTime(at: string, nowMs: number): string {
  const limit = Math.floor(nowMs) + MAX_AHEAD_MS;
  return Number.parseInt(at.slice(0, 12), 16) <= limit ? at : formatTime(limit, 0).slice(0, 12) + at.slice(12);
}

/**
 * One author's clock. Each time it tells is later than all it told and all it has received, also when the wall clock goes back: an own
 * later write must never lose to an own earlier one.
 */
export class HybridClock {
  #ms = 0;
  #counter = 0;
  /** The latest time that came from the server, so one that is really in the log. */
  #received = formatTime(0, 0);

  /** The time of a new write. `nowMs` is the wall clock, ms since 1970. */
  tick(nowMs: number): string {
    const ms = Math.floor(nowMs);
    if (ms > this.#ms) this.#set(ms, 0);
    else if (this.#counter < MAX_COUNTER) this.#counter++;
    else this.#set(this.#ms + 1, 0);
    return formatTime(this.#ms, this.#counter);
  }

  /** Takes notice of a time in the log. What is no time is ignored. */
  receive(at: string): void {
    if (!WELL_FORMED.test(at)) return;
    if (at > this.#received) this.#received = at;
    if (at > formatTime(this.#ms, this.#counter)) this.#goTo(at);
  }

  /** Goes on after a time that this author told in an earlier life, which the log may not have. */
  goOnAfter(at: string): void {
    if (at > formatTime(this.#ms, this.#counter)) this.#goTo(at);
  }

  /**
   * Goes back to the latest time in the log. For when no write of this clock is on its way: then nothing anywhere is later. The server
   * sets times back that are far ahead, so a wall clock that was wrong once does not make its owner win from then on.
   */
  setBack(): void {
    this.#goTo(this.#received);
  }

  #goTo(at: string): void {
    this.#set(Number.parseInt(at.slice(0, 12), 16), Number.parseInt(at.slice(12), 16));
  }

  #set(ms: number, counter: number): void {
    this.#ms = ms;
    this.#counter = counter;
  }
}
