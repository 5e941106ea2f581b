import type { Channel, ChannelOptions, RealtimeClient, Store, Unsubscribe } from "@chorale/client";

/** What a hook takes for a channel: its name, its options, or undefined while it is not known yet. */
export type ChannelRef = string | ChannelOptions | undefined;

/**
 * Options as text. Equal options have equal keys, so hooks can share a claim, and a render that makes a new options object changes
 * nothing.
 */
export type ClaimKey = string;

export function claimKey(ref: string | ChannelOptions): ClaimKey;
export function claimKey(ref: ChannelRef): ClaimKey | undefined;
export function claimKey(ref: ChannelRef): ClaimKey | undefined {
  if (ref === undefined) return undefined;
  const options: ChannelOptions = typeof ref === "string" ? { name: ref } : ref;
  const { name, presence, ack, private: isPrivate, self } = options;
  return JSON.stringify({ name, presence, ack, private: isPrivate, self });
}

/** A claim that somebody holds, and how to give it back. */
export interface Held {
  readonly channel: Channel;
  /** Idempotent. */
  readonly release: Unsubscribe;
}

interface Shared {
  readonly channel: Channel;
  holders: number;
}

/**
 * The channels that the hooks of one provider hold.
 *
 * Hooks with the same options share one claim. So a component that mounts under another one of the same channel shows its content in
 * its first render, and a hundred rows cost the client one claim. How long a channel stays joined after its last claim is the
 * client's business (`releaseMs`).
 */
export class Claims {
  readonly #client: RealtimeClient;
  readonly #shared = new Map<ClaimKey, Shared>();

  constructor(client: RealtimeClient) {
    this.#client = client;
  }

  /** Holds a channel until released. For effects and event handlers: it may join. */
  hold(key: ClaimKey): Held {
    const shared = this.#shared.get(key) ?? this.#claim(key);
    shared.holders++;
    let released = false;
    const release = () => {
      if (released) return;
      released = true;
      if (--shared.holders > 0) return;
      this.#shared.delete(key);
      shared.channel.release();
    };
    return { channel: shared.channel, release };
  }

  /** The channel if somebody holds it now. For rendering: it changes nothing. */
  peek(key: ClaimKey): Channel | undefined {
    return this.#shared.get(key)?.channel;
  }

  /**
   * Runs `act` with the channel and holds it until what `until` makes of the result is settled: a write that is made while its
   * component unmounts still reaches the server.
   */
  during<R>(key: ClaimKey, act: (channel: Channel) => R, until: (result: R) => Promise<unknown>): R {
    const { channel, release } = this.hold(key);
    try {
      const result = act(channel);
      until(result).then(release, release);
      return result;
    } catch (error) {
      release();
      throw error;
    }
  }

  #claim(key: ClaimKey): Shared {
    const options: ChannelOptions = JSON.parse(key);
    const shared = { channel: this.#client.channels.getChannel(options), holders: 0 };
    this.#shared.set(key, shared);
    return shared;
  }
}

/**
 * A store of a channel that is held for as long as somebody subscribes. It says `fallback` without a key, and before the channel is
 * held by anybody. For one channel `pick` has to answer with stores of the same values.
 */
export function claimedStore<T>(
  claims: Claims,
  key: ClaimKey | undefined,
  pick: (channel: Channel) => Store<T>,
  fallback: T,
): Store<T> {
  if (key === undefined) return { getSnapshot: () => fallback, subscribe: () => () => {} };
  // Outlives the subscription: a tree that React hides goes on showing what it showed.
  let newest: Store<T> | undefined;
  return {
    getSnapshot: () => {
      const channel = claims.peek(key);
      const store = channel === undefined ? newest : pick(channel);
      return store === undefined ? fallback : store.getSnapshot();
    },
    subscribe: (listener) => {
      const { channel, release } = claims.hold(key);
      newest = pick(channel);
      const stop = newest.subscribe(listener);
      return () => {
        stop();
        release();
      };
    },
  };
}
