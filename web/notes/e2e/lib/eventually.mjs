import { setTimeout as pause } from "node:timers/promises";

/** A bound for failures, in ms. */
const DEADLINE_MS = 15_000;

/** How often is looked, in ms. */
const EVERY_MS = 40;

/**
 * Looks until what is seen is accepted, and returns it. For what no single page can tell, such as that two pages show the same.
 *
 * @template T
 * @param {() => Promise<T>} look
 * @param {(seen: T) => boolean} accept
 * @param {string} what in words, for the failure
 * @returns {Promise<T>}
 */
export async function eventually(look, accept, what) {
  const end = Date.now() + DEADLINE_MS;
  for (;;) {
    const seen = await look();
    if (accept(seen)) return seen;
    if (Date.now() > end) throw new Error(`not within ${DEADLINE_MS} ms: ${what}; seen: ${JSON.stringify(seen, null, 1)}`);
    await pause(EVERY_MS);
  }
}
