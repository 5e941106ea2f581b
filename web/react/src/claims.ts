import type { Channel, ChannelOptions, Collection, RealtimeClient, RecordShape, Unsubscribe } from "@chorale/client";

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

/** A claim that hooks share. */
export class Claim {
  readonly channel: Channel;
  readonly #takesPart: boolean;
  readonly #opened = new Map<string, Collection>();

  constructor(client: RealtimeClient, options: ChannelOptions) {
    this.channel = client.channels.getChannel(options);
    this.#takesPart = options.presence ?? false;
  }

  /** Asks for a collection. For effects and event handlers: the channel may have to join again to get it. */
  open<T extends RecordShape>(collection: string): Collection<T> {
    const opened = this.channel.collection<T>(collection);
    this.#opened.set(collection, opened as unknown as Collection);
    return opened;
  }

  /** A collection that somebody has asked for. For rendering: it changes nothing. */
  opened<T extends RecordShape>(collection: string): Collection<T> | undefined {
    // Which shape the records of a name have is the app's knowledge.
    return this.#opened.get(collection) as unknown as Collection<T> | undefined;
  }

  end(): void {
    // The channel may go on for others, who are not to see somebody who has left.
    if (this.#takesPart) this.channel.presence.clear();
    this.channel.release();
  }
}

/** A hold on a claim, and how to give it back. */
export interface Held {
  readonly claim: Claim;
  /** Idempotent. */
  readonly release: Unsubscribe;
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
  readonly #shared = new Map<ClaimKey, { readonly claim: Claim; holders: number }>();

  constructor(client: RealtimeClient) {
    this.#client = client;
  }

  /** Holds a channel until released. For effects and event handlers: it may join. */
  hold(key: ClaimKey): Held {
    let shared = this.#shared.get(key);
    if (shared === undefined) {
      const options: ChannelOptions = JSON.parse(key);
      shared = { claim: new Claim(this.#client, options), holders: 0 };
      this.#shared.set(key, shared);
    }
    const held = shared;
    held.holders++;
    let released = false;
    const release = () => {
      if (released) return;
      released = true;
      if (--held.holders > 0) return;
      this.#shared.delete(key);
      held.claim.end();
    };
    return { claim: held.claim, release };
  }

  /** The claim if somebody holds it now. For rendering: it changes nothing. */
  peek(key: ClaimKey): Claim | undefined {
    return this.#shared.get(key)?.claim;
  }

  /**
   * Runs `act` with the claim and holds it until what `until` makes of the result is settled: a write that is made while its
   * component unmounts still reaches the server.
   */
  during<R>(key: ClaimKey, act: (claim: Claim) => R, until: (result: R) => Promise<unknown>): R {
    const { claim, release } = this.hold(key);
    try {
      const result = act(claim);
      until(result).then(release, release);
      return result;
    } catch (error) {
      release();
      throw error;
    }
  }
}
