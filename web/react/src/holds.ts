import type { RealtimeClient, Unsubscribe } from "@chorale/client";

/**
 * Something that a client opens and that is given back: a channel, the notes of an interview. Openings of one key open the same thing,
 * so hooks share it.
 */
export interface Opening<T> {
  readonly key: string;
  open(client: RealtimeClient): T;
  close(opened: T): void;
}

/** A hold on what was opened, and how to give it back. */
export interface Held<T> {
  readonly opened: T;
  /** Idempotent. */
  readonly release: Unsubscribe;
}

/**
 * What the hooks of one provider hold of its client, counted.
 *
 * Because hooks share what they hold, a component that mounts under another one of the same channel shows its content in its first
 * render, and a hundred rows cost the client one claim. How long a channel stays joined after its last claim is the client's business
 * (`releaseMs`).
 */
export class Holds {
  readonly #client: RealtimeClient;
  readonly #shared = new Map<string, { readonly opened: unknown; holders: number }>();

  constructor(client: RealtimeClient) {
    this.#client = client;
  }

  /** Holds until released. For effects and event handlers: it may open. */
  hold<T>(opening: Opening<T>): Held<T> {
    const { key } = opening;
    const shared = this.#shared.get(key) ?? { opened: opening.open(this.#client), holders: 0 };
    this.#shared.set(key, shared);
    shared.holders++;
    const opened = shared.opened as T; // an opening of the same key opened it
    let released = false;
    const release = () => {
      if (released) return;
      released = true;
      if (--shared.holders > 0) return;
      this.#shared.delete(key);
      opening.close(opened);
    };
    return { opened, release };
  }

  /** What somebody holds now. For rendering: it changes nothing. */
  peek<T>({ key }: Opening<T>): T | undefined {
    return this.#shared.get(key)?.opened as T | undefined;
  }

  /**
   * Runs `act` with what was opened and holds that until what `until` makes of the result is settled: a write that is made while its
   * component unmounts still reaches the server.
   */
  during<T, R>(opening: Opening<T>, act: (opened: T) => R, until: (result: R) => Promise<unknown>): R {
    const { opened, release } = this.hold(opening);
    try {
      const result = act(opened);
      until(result).then(release, release);
      return result;
    } catch (error) {
      release();
      throw error;
    }
  }
}
