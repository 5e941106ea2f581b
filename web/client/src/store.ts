import type { Store, Unsubscribe } from "./types";

/** Where errors of listeners go. */
export type Report = (error: unknown) => void;

/** A set of listeners. One that throws is reported and does not stop the others; one that is removed while being told is not told. */
export class Listeners<A extends unknown[]> {
  readonly #listeners = new Set<(...args: A) => void>();
  readonly #report: Report;

  constructor(report: Report) {
    this.#report = report;
  }

  get size(): number {
    return this.#listeners.size;
  }

  add(listener: (...args: A) => void): Unsubscribe {
    // A wrapper, so that a function added twice is told twice and removed once at a time.
    const entry = (...args: A) => listener(...args);
    this.#listeners.add(entry);
    return () => {
      this.#listeners.delete(entry);
    };
  }

  tell(...args: A): void {
    for (const listener of [...this.#listeners]) {
      if (!this.#listeners.has(listener)) continue;
      try {
        listener(...args);
      } catch (error) {
        this.#report(error);
      }
    }
  }
}

/** A value that tells when it changes. Bound, so that it can be handed to React as it is. */
export class ValueStore<T> implements Store<T> {
  #value: T;
  readonly #listeners: Listeners<[]>;

  constructor(initial: T, report: Report) {
    this.#value = initial;
    this.#listeners = new Listeners(report);
  }

  readonly getSnapshot = (): T => this.#value;

  readonly subscribe = (listener: () => void): Unsubscribe => this.#listeners.add(listener);

  set(value: T): void {
    if (Object.is(value, this.#value)) return;
    this.#value = value;
    this.#listeners.tell();
  }
}
