/** How long a test waits for something that must come, in ms: it is a bound for failures, not a pause. */
const DEADLINE_MS = 15_000;

/**
 * What happened, in order, and a way to wait for more. Waiting ends with the event itself, so that no test sleeps.
 *
 * @template T
 */
export class Journal {
  /** @type {T[]} */
  items = [];
  #name;
  #waiting = new Set();

  /** @param {string} name says in a failure what was waited for */
  constructor(name) {
    this.#name = name;
  }

  /** Adds what happened. A property, so that it can be handed out as a listener. */
  add = (item) => {
    this.items.push(item);
    for (const look of [...this.#waiting]) look();
  };

  /** The newest item. */
  get last() {
    return this.items.at(-1);
  }

  /**
   * Waits until the items satisfy a condition.
   *
   * @param {(items: T[]) => boolean} condition
   * @param {string} what in words, for the failure
   * @returns {Promise<T[]>} the items at that moment
   */
  until(condition, what, deadlineMs = DEADLINE_MS) {
    if (condition(this.items)) return Promise.resolve([...this.items]);
    return new Promise((done, fail) => {
      const look = () => {
        if (!condition(this.items)) return;
        clearTimeout(timer);
        this.#waiting.delete(look);
        done([...this.items]);
      };
      const timer = setTimeout(() => {
        this.#waiting.delete(look);
        const seen = JSON.stringify(this.items.slice(-5));
        fail(new Error(`${this.#name}: no ${what} within ${deadlineMs} ms; ${this.items.length} seen, at the end ${seen}`));
      }, deadlineMs);
      this.#waiting.add(look);
    });
  }

  /** Waits for this many items. */
  count(n) {
    return this.until((items) => items.length >= n, `${n} items`);
  }

  /** Waits for an item and returns the first that fits. */
  async find(fits, what) {
    return (await this.until((items) => items.some(fits), what)).find(fits);
  }
}
