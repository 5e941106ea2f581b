import { Manager } from "./channel-manager";
import type { CreateChannelStore } from "./collection/seam";
import { createChannelStore } from "./collection/store";
import { Connection } from "./connection";
import { createPlatform } from "./env";
import { ChoraleError } from "./errors";
import type { ClientStorage, StorageFactory } from "./keeper";
import type { Membership } from "./membership";
import { withoutCollections } from "./no-collections";
import type { Frame } from "./protocol";
import { Listeners, ValueStore } from "./store";
import { TokenSource } from "./token";
import type {
  ClientDebug,
  ClientEvents,
  Platform,
  RealtimeClient,
  RealtimeClientOptions,
  StorageSnapshot,
  Store,
  Unsubscribe,
} from "./types";

/**
 * Makes a client. Nothing is connected, fetched or timed until somebody retains it or claims a channel, so it may be made while
 * rendering, also on a server.
 *
 * @example
 * ```ts
 * const client = createRealtimeClient({ url: "http://127.0.0.1:4000", getToken: fetchToken });
 * const { channels: channelManager } = client;
 * const channel = channelManager.getChannel({ name: "project:123", presence: true, ack: true });
 * ```
 */
export function createRealtimeClient(options: RealtimeClientOptions): RealtimeClient {
  return new Client(options, createChannelStore, options.storage);
}

/**
 * Makes a client for messages and presence alone, a third smaller in an app that does not import `createRealtimeClient` as well. All else
 * is the same, but `collection` of its channels throws a ChoraleError `no_collections`, and there is nothing to keep on the device.
 *
 * @example
 * ```ts
 * const client = createMessageClient({ url: "http://127.0.0.1:4000", getToken: fetchToken });
 * const channel = client.channels.getChannel({ name: "room:7", presence: true });
 * channel.on("cursor", ({ payload }) => console.log(payload));
 * ```
 */
export function createMessageClient(options: Omit<RealtimeClientOptions, "storage">): RealtimeClient {
  return new Client(options, withoutCollections); // and without a storage, or the kept position would run ahead of the kept records
}

class Client implements RealtimeClient {
  readonly clientId: string;
  readonly channels: Manager;
  readonly pendingCount: ValueStore<number>;
  readonly storage: Store<StorageSnapshot>;
  readonly #kept: ClientStorage | undefined;
  readonly #platform: Platform;
  readonly #connection: Connection;
  readonly #events = new Map<keyof ClientEvents, Listeners<[never]>>();

  constructor(options: Omit<RealtimeClientOptions, "storage">, createStore: CreateChannelStore, storage?: StorageFactory) {
    const platform = createPlatform(options.platform);
    this.#platform = platform;
    this.clientId = platform.uuid();
    const tokens = new TokenSource(options.getToken, platform, (token) => {
      this.#connection.tokenRenewed();
      this.#each((membership) => membership.onToken(token));
    });
    this.#connection = new Connection({
      url: options.url,
      platform,
      tokens,
      blipMs: options.blipMs ?? 5_000,
    });
    this.pendingCount = new ValueStore(0, platform.reportError);
    this.#kept = storage?.(this, platform);
    this.storage = this.#kept?.state ?? new ValueStore({ mode: "memory", reason: "off" }, platform.reportError);
    this.channels = new Manager({
      deps: {
        connection: this.#connection,
        tokens,
        platform,
        clientId: this.clientId,
        storage: this.#kept,
        createStore,
        emit: (event, detail) => this.#emit(event, detail),
      },
      connection: this.#connection,
      platform,
      releaseMs: options.releaseMs ?? 1_000,
      onPending: () => this.#count(),
    });
    this.#connection.onUp(() => this.#each((membership) => membership.onUp()));
    this.#connection.onDown(() => this.#each((membership) => membership.onDown()));
    this.#connection.onFrame((frame) => this.#deliver(frame));
  }

  get connection() {
    return this.#connection.snapshot;
  }

  get debug(): ClientDebug {
    return {
      platform: this.#platform,
      socket: () => this.#connection.socket,
      channels: () => this.channels.memberships(),
    };
  }

  retain(): Unsubscribe {
    this.#kept?.open();
    return this.#connection.need();
  }

  reconnect(): void {
    this.#connection.reconnect();
  }

  close(): void {
    if (this.#connection.isClosed) return;
    this.channels.close();
    this.#connection.close();
    this.#kept?.close();
  }

  async clear(): Promise<void> {
    this.close();
    await this.#kept?.clear();
  }

  on<E extends keyof ClientEvents>(event: E, listener: (detail: ClientEvents[E]) => void): Unsubscribe {
    let listeners = this.#events.get(event);
    if (!listeners) {
      listeners = new Listeners<[never]>(this.#platform.reportError);
      this.#events.set(event, listeners);
    }
    return (listeners as unknown as Listeners<[ClientEvents[E]]>).add(listener); // kept under the event whose detail it takes
  }

  #emit<E extends keyof ClientEvents>(event: E, detail: ClientEvents[E]): void {
    this.#events.get(event)?.tell(detail as never);
  }

  /** A frame that one channel cannot understand is reported; the next frame and the other channels go on. */
  #deliver(frame: Frame): void {
    this.#each((membership) => membership.onFrame(frame), frame);
  }

  #each(act: (membership: Membership) => void, about?: Frame): void {
    for (const membership of this.channels.memberships()) {
      try {
        act(membership);
      } catch (error) {
        const failure =
          error instanceof ChoraleError
            ? error
            : new ChoraleError("internal_error", `${about?.event ?? "connection"}: ${String(error)}`, { cause: error });
        this.#platform.reportError(failure);
        this.#emit("error", failure);
      }
    }
  }

  /** Adds up the unsettled writes of all channels. */
  #count(): void {
    this.pendingCount.set(this.channels.memberships().reduce((sum, m) => sum + m.records.pendingCount.getSnapshot(), 0));
  }
}
