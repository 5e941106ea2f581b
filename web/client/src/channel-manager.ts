/** Claims on channels: all claims of one name share one membership. */
import type { Connection } from "./connection";
import { ChoraleError } from "./errors";
import { Membership, type MembershipDeps } from "./membership";
import type {
  Channel,
  ChannelManager,
  ChannelOptions,
  ChannelSnapshot,
  Collection,
  Json,
  Message,
  MessageHandler,
  Platform,
  Presence,
  PublishOptions,
  RecordShape,
  Store,
  Unsubscribe,
} from "./types";

/** A membership with those who claim it. */
interface Shared {
  readonly membership: Membership;
  readonly claims: Set<Claim>;
  /** Of the connection. */
  readonly release: Unsubscribe;
  readonly stopCounting: Unsubscribe;
  grace?: unknown;
}

export interface ManagerOptions {
  readonly deps: MembershipDeps;
  readonly connection: Connection;
  readonly platform: Platform;
  readonly releaseMs: number;
  /** A membership began or ended, or has more or fewer pending writes: the sum of them is another. */
  readonly onPending: () => void;
}

export class Manager implements ChannelManager {
  readonly #options: ManagerOptions;
  readonly #shared = new Map<string, Shared>();

  constructor(options: ManagerOptions) {
    this.#options = options;
  }

  readonly getChannel = (options: ChannelOptions): Channel => {
    checkName(options.name);
    if (this.#options.connection.isClosed) throw new ChoraleError("client_closed", "the client was closed");
    const key = keyOf(options);
    if (this.#shared.has(keyOf({ ...options, private: options.private === false }))) {
      // They would be one topic on one socket, and joining the one would end the other (J2).
      throw new ChoraleError(
        "channel_kind",
        `channel ${options.name} is claimed as ${options.private === false ? "private" : "public"}`,
      );
    }
    let shared = this.#shared.get(key);
    if (!shared) {
      shared = this.#begin(options);
      this.#shared.set(key, shared);
      this.#options.onPending();
    }
    this.#options.platform.clearTimeout(shared.grace);
    delete shared.grace;
    const { membership, claims } = shared;
    const claim = new Claim(membership, options, () => this.#released(key, claim));
    claims.add(claim);
    this.#addUp(claims, membership);
    return claim;
  };

  readonly list = (): readonly string[] => [...new Set([...this.#shared.values()].map((s) => s.membership.name))].sort();

  memberships(): readonly Membership[] {
    return [...this.#shared.values()].map((s) => s.membership);
  }

  close(): void {
    for (const [key, shared] of this.#shared)
      this.#end(key, shared, new ChoraleError("client_closed", "the client was closed"));
  }

  #begin(options: ChannelOptions): Shared {
    const membership = new Membership(options.name, options.private ?? true, this.#options.deps);
    const release = this.#options.connection.need();
    const stopCounting = membership.records.pendingCount.subscribe(this.#options.onPending);
    if (this.#options.connection.isOpen) membership.onUp();
    return { membership, claims: new Set(), release, stopCounting };
  }

  #addUp(claims: ReadonlySet<Claim>, membership: Membership): void {
    const all = [...claims];
    membership.setWishes({ presence: all.some((c) => c.options.presence), self: all.some((c) => c.options.self) });
  }

  #released(key: string, claim: Claim): void {
    const shared = this.#shared.get(key);
    if (!shared?.claims.delete(claim)) return;
    // The channel may go on for others, who are not to see somebody who has left.
    if (claim.takesPart && ![...shared.claims].some((c) => c.takesPart)) shared.membership.presence.clear();
    if (shared.claims.size > 0) {
      this.#addUp(shared.claims, shared.membership);
      return;
    }
    // A component that mounts again, as React does it, finds the channel as it left it.
    shared.grace = this.#options.platform.setTimeout(() => this.#endWhenSettled(key, shared), this.#options.releaseMs);
  }

  /** Writes that have not settled keep the channel: nothing is lost because a page was left quickly. */
  #endWhenSettled(key: string, shared: Shared): void {
    const pending = shared.membership.records.pendingCount;
    if (pending.getSnapshot() === 0) {
      this.#end(key, shared);
      return;
    }
    const stop = pending.subscribe(() => {
      if (shared.claims.size > 0 || this.#shared.get(key) !== shared) stop();
      else if (pending.getSnapshot() === 0) {
        stop();
        this.#end(key, shared);
      }
    });
  }

  #end(key: string, shared: Shared, error?: ChoraleError): void {
    this.#shared.delete(key);
    this.#options.platform.clearTimeout(shared.grace);
    shared.membership.close(error);
    shared.release();
    shared.stopCounting();
    this.#options.onPending();
  }
}

/** One claim on a membership. */
class Claim implements Channel {
  readonly options: ChannelOptions;
  readonly presence: Presence;
  readonly #membership: Membership;
  readonly #onRelease: () => void;
  readonly #listeners = new Set<Unsubscribe>();
  #released = false;
  #takesPart = false;

  constructor(membership: Membership, options: ChannelOptions, onRelease: () => void) {
    this.#membership = membership;
    this.options = options;
    this.#onRelease = onRelease;
    const { members, set, update, clear } = membership.presence;
    this.presence = { members, set: (state) => this.#say(set, state), update: (part) => this.#say(update, part), clear };
  }

  /** Whether what this client says of itself was said through this claim. */
  get takesPart(): boolean {
    return this.#takesPart;
  }

  get name(): string {
    return this.#membership.name;
  }

  get status(): Store<ChannelSnapshot> {
    return this.#membership.status;
  }

  publish(event: string, payload: Json, options: PublishOptions = {}): Promise<{ id: string; offset?: number }> {
    return this.#membership.publish(event, payload, { ...options, ack: options.ack ?? this.options.ack ?? true });
  }

  on<P = Json>(event: string, listener: (message: Message<P>) => void): Unsubscribe {
    return this.#own(
      this.#membership.onMessage((message) => {
        // What a payload is, its author and its listener agree on; handlers with `parse` check it.
        if (event === "*" || event === message.event) listener(message as Message<P>);
      }),
    );
  }

  use<P = Json>(handler: MessageHandler<P>): Unsubscribe {
    return this.#own(this.#membership.use(handler));
  }

  collection<T extends RecordShape = RecordShape>(name: string): Collection<T> {
    return this.#membership.records.collection<T>(name);
  }

  release(): void {
    if (this.#released) return;
    this.#released = true;
    for (const stop of this.#listeners) stop();
    this.#listeners.clear();
    this.#onRelease();
  }

  /** Presence ends with the last claim that was used for it, so it cannot begin after that. */
  #say(say: (state: Record<string, Json>) => void, state: Record<string, Json>): void {
    if (this.#released) return;
    say(state);
    this.#takesPart = true;
  }

  /** Listeners end with their claim. */
  #own(stop: Unsubscribe): Unsubscribe {
    if (this.#released) stop();
    const ended = () => {
      this.#listeners.delete(ended);
      stop();
    };
    this.#listeners.add(ended);
    return ended;
  }
}

function keyOf(options: ChannelOptions): string {
  return `${options.private === false ? "public" : "private"}:${options.name}`;
}

function checkName(name: string): void {
  if (name === "" || new TextEncoder().encode(name).length > 246 || name.includes("\0")) {
    throw new ChoraleError("topic_name_required", "a channel's name has 1 to 246 bytes and no NUL");
  }
}
