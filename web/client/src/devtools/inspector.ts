/** What developers' tools show of a client: what happens on its wire, how its channels stand, what went wrong. */
import { decodeFrame } from "../protocol";
import { ValueStore } from "../store";
import type {
  ChannelDebug,
  ChannelStatus,
  ClientDebug,
  ConnectionSnapshot,
  PresenceMember,
  RealtimeClient,
  Store,
  Unsubscribe,
} from "../types";
import { redact } from "./redact";
import { type Direction, Wire } from "./wire";

/** What is kept of each: enough to look back a while, and bounded. */
const FRAMES_KEPT = 500;
const HISTORY_KEPT = 100;
const TROUBLES_KEPT = 100;
const LATENCIES_KEPT = 60;
/** What is shown changes at most this often, however much happens. */
const TELL_EVERY_MS = 100;

export interface FrameSeen {
  /** Counts up. */
  readonly id: number;
  /** ms since 1970. */
  readonly at: number;
  readonly direction: Direction;
  readonly topic: string;
  readonly event: string;
  readonly chars: number;
  /** JSON, without tokens, cut where it is long. */
  readonly payload: string;
}

export interface ConnectionChange {
  readonly id: number;
  readonly at: number;
  readonly status: ConnectionSnapshot["status"];
  /** Why, and what follows. */
  readonly detail: string;
}

export interface Trouble {
  readonly id: number;
  readonly at: number;
  readonly kind: "conflict" | "refused" | "resync" | "error";
  readonly channel: string;
  readonly text: string;
}

export interface PendingRecord {
  readonly collection: string;
  readonly recordId: string;
  readonly pending: number;
  /** The code of a refusal that the app has not dismissed. */
  readonly failed: string | undefined;
}

export interface ChannelSeen {
  readonly name: string;
  readonly isPrivate: boolean;
  readonly status: ChannelStatus;
  readonly error: string | undefined;
  readonly position: { readonly epoch: string; readonly offset: number } | undefined;
  readonly members: readonly PresenceMember[];
  readonly collections: readonly { readonly name: string; readonly records: number }[];
  readonly pendingCount: number;
  readonly unsettled: readonly PendingRecord[];
}

export interface Inspection {
  readonly connection: ConnectionSnapshot;
  /** Newest last, as all lists here. */
  readonly history: readonly ConnectionChange[];
  readonly latencies: readonly number[];
  readonly channels: readonly ChannelSeen[];
  readonly frames: readonly FrameSeen[];
  readonly troubles: readonly Trouble[];
  readonly pendingCount: number;
  readonly isOffline: boolean;
  readonly addedLatencyMs: number;
}

export interface Inspector {
  readonly store: Store<Inspection>;
  /** Takes the network away from this client alone, or gives it back. */
  setOffline(isOffline: boolean): void;
  /** Adds to the way of each frame, up and down. */
  setLatency(ms: number): void;
  /** Forgets frames, history and troubles. */
  clear(): void;
  /** Takes itself out of the client again. Idempotent. */
  detach(): void;
}

/** Looks into a client, from now on. One inspector at a time: detach it before another begins. */
export function inspect(client: RealtimeClient): Inspector {
  if (!client.debug) throw new Error("this client cannot be looked into: it was not made by createRealtimeClient");
  return new ClientInspector(client, client.debug);
}

class ClientInspector implements Inspector {
  readonly store: ValueStore<Inspection>;
  readonly #client: RealtimeClient;
  readonly #debug: ClientDebug;
  readonly #wire: Wire;
  readonly #stops: Unsubscribe[];
  #frames: readonly FrameSeen[] = [];
  #history: readonly ConnectionChange[] = [];
  #troubles: readonly Trouble[] = [];
  #latencies: readonly number[] = [];
  #known: ConnectionSnapshot;
  #count = 0;
  #timer: unknown;

  constructor(client: RealtimeClient, debug: ClientDebug) {
    this.#client = client;
    this.#debug = debug;
    this.#known = client.connection.getSnapshot();
    this.#wire = new Wire(debug, { frame: (direction, data) => this.#frame(direction, data) });
    this.#change(this.#known);
    this.store = new ValueStore(this.#read(), debug.platform.reportError);
    this.#stops = [
      client.connection.subscribe(() => this.#connection()),
      client.pendingCount.subscribe(() => this.#tellSoon()),
      client.on("conflict", (conflict) =>
        this.#trouble(
          "conflict",
          conflict.channel,
          `${conflict.collection}/${conflict.recordId} ${conflict.field}: mine ${redact(conflict.mine)}, theirs ${redact(conflict.theirs)}`,
        ),
      ),
      client.on("mutationFailed", ({ channel, collection, recordId, op, outcome }) =>
        this.#trouble("refused", channel, `${op} of ${collection}/${recordId}: ${reasonOf(outcome)}`),
      ),
      client.on("resync", ({ channel, reason }) => this.#trouble("resync", channel, `messages were missed: ${reason}`)),
      client.on("error", ({ code, message }) => this.#trouble("error", "", `${code}: ${message}`)),
    ];
  }

  setOffline(isOffline: boolean): void {
    this.#wire.setOffline(isOffline);
    if (!isOffline) this.#client.reconnect();
    this.#tell();
  }

  setLatency(ms: number): void {
    this.#wire.setLatency(ms);
    this.#tell();
  }

  clear(): void {
    this.#frames = this.#history = this.#troubles = [];
    this.#tell();
  }

  detach(): void {
    const { isOffline } = this.#wire;
    for (const stop of this.#stops.splice(0)) stop();
    this.#debug.platform.clearTimeout(this.#timer);
    this.#wire.detach();
    if (isOffline) this.#client.reconnect();
  }

  #frame(direction: Direction, data: string): void {
    let seen = { topic: "", event: "not a frame", payload: undefined as unknown };
    try {
      seen = decodeFrame(data);
    } catch {
      // What is no frame is seen as well.
    }
    const { topic, event, payload } = seen;
    this.#frames = kept(FRAMES_KEPT, this.#frames, {
      ...this.#stamp(),
      direction,
      topic,
      event,
      chars: data.length,
      payload: redact(payload),
    });
    this.#tellSoon();
  }

  #connection(): void {
    const snapshot = this.#client.connection.getSnapshot();
    const before = this.#known;
    this.#known = snapshot;
    const { latencyMs } = snapshot;
    if (latencyMs !== undefined && latencyMs !== before.latencyMs)
      this.#latencies = [...this.#latencies, latencyMs].slice(-LATENCIES_KEPT);
    if (snapshot.status !== before.status || snapshot.retryAt !== before.retryAt || snapshot.transport !== before.transport)
      this.#change(snapshot);
    this.#tellSoon();
  }

  #change({ status, attempt, retryAt, transport, error }: ConnectionSnapshot): void {
    const waitMs = retryAt === undefined ? undefined : Math.max(0, Math.round(retryAt - this.#debug.platform.now()));
    const parts = [
      transport && `over ${transport}`,
      transport && this.#debug.socket()?.via,
      error && `${error.code}: ${error.message}`,
      waitMs !== undefined && `attempt ${attempt} in ${waitMs} ms`,
    ];
    this.#history = kept(HISTORY_KEPT, this.#history, {
      ...this.#stamp(),
      status,
      detail: parts.filter(Boolean).join(", "),
    });
  }

  #trouble(kind: Trouble["kind"], channel: string, text: string): void {
    this.#troubles = kept(TROUBLES_KEPT, this.#troubles, { ...this.#stamp(), kind, channel, text });
    this.#tellSoon();
  }

  #stamp() {
    return { id: ++this.#count, at: this.#debug.platform.now() };
  }

  #tellSoon(): void {
    this.#timer ??= this.#debug.platform.setTimeout(() => this.#tell(), TELL_EVERY_MS);
  }

  #tell(): void {
    this.#debug.platform.clearTimeout(this.#timer);
    this.#timer = undefined;
    this.store.set(this.#read());
  }

  #read(): Inspection {
    return Object.freeze({
      connection: this.#client.connection.getSnapshot(),
      history: this.#history,
      latencies: this.#latencies,
      channels: this.#debug.channels().map(channelSeen),
      frames: this.#frames,
      troubles: this.#troubles,
      pendingCount: this.#client.pendingCount.getSnapshot(),
      isOffline: this.#wire.isOffline,
      addedLatencyMs: this.#wire.latencyMs,
    });
  }
}

function channelSeen(channel: ChannelDebug): ChannelSeen {
  const { name, isPrivate, position, presence, records } = channel;
  const { status, error } = channel.status.getSnapshot();
  const snapshots = records.names().map((each) => [each, records.collection(each).snapshot.getSnapshot()] as const);
  return {
    name,
    isPrivate,
    status,
    error: error && `${error.code}: ${error.message}`,
    position,
    members: presence.members.getSnapshot(),
    collections: snapshots.map(([each, snapshot]) => ({ name: each, records: snapshot.records.length })),
    pendingCount: records.pendingCount.getSnapshot(),
    unsettled: snapshots.flatMap(([collection, snapshot]) =>
      [...snapshot.status].map(([recordId, { pending, failed }]) => ({
        collection,
        recordId,
        pending,
        failed: failed && reasonOf(failed.outcome),
      })),
    ),
  };
}

function reasonOf(outcome: { readonly status: string; readonly code?: string; readonly message?: string }): string {
  return outcome.code === undefined ? outcome.status : `${outcome.code}: ${outcome.message}`;
}

/** A list with one more at its end, and no more than so many. */
function kept<T>(most: number, list: readonly T[], one: T): readonly T[] {
  return [...list.slice(list.length < most ? 0 : list.length - most + 1), one];
}
