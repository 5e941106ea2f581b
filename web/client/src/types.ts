/**
 * The public types of @chorale/client: what an app, and @chorale/react, may rely on.
 * Words are those of docs/glossary.md; rule numbers are those of docs/protocol.md.
 */

import type { CollectionInside } from "./collection/seam";
import type { StorageFactory } from "./keeper";

/** Stops a subscription, a claim or a listener. Calling it twice does nothing. */
export type Unsubscribe = () => void;

/**
 * A value that changes. `getSnapshot` returns the same reference until the value changed, so a store can be handed to React's
 * `useSyncExternalStore` as it is. Both methods are bound.
 */
export interface Store<T> {
  readonly getSnapshot: () => T;
  readonly subscribe: (listener: () => void) => Unsubscribe;
}

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

// ---------------------------------------------------------------- connection

/** What the connection is doing, for a person to see. */
export type ConnectionStatus =
  | "idle" // nobody needs it
  | "connecting" // first attempt
  | "connected"
  | "reconnecting" // was connected, is coming back
  | "offline" // the browser says that there is no network; still trying, slowly
  | "needs-auth" // two tokens in a row were refused, or getToken said that only a person can help
  | "failed" // the server refused for good
  | "closed"; // client.close()

/** `sse`: events down and POSTs up, where a network blocks WebSockets. Slower; nothing else differs. */
export type Transport = "websocket" | "sse";

export interface ConnectionSnapshot {
  readonly status: ConnectionStatus;
  /** True while connected, and during a blip of less than `blipMs` (default 5 s). */
  readonly isConnected: boolean;
  /** Attempts since the last stable connection. */
  readonly attempt: number;
  /** When the next attempt is due (ms since 1970), while waiting. */
  readonly retryAt?: number;
  /** How frames travel, while connected. */
  readonly transport?: Transport;
  /** Round trip of the newest heartbeat in ms. */
  readonly latencyMs?: number;
  readonly error?: ChoraleErrorLike;
}

/** An error with a stable code and a word on whether trying again makes sense. */
export interface ChoraleErrorLike extends Error {
  readonly code: string;
  readonly retryable: boolean;
}

/** Where a client keeps what it knows and what it has not sent. */
export interface StorageSnapshot {
  /** `device`: kept over reloads and crashes. `memory`: for as long as the page lives. `opening`: not known yet. */
  readonly mode: "opening" | "device" | "memory";
  /**
   * Why it is only memory: not asked for, there is no storage (as in some private windows), another tab or a slow device blocks it,
   * it is full, it broke, or somebody signed out.
   */
  readonly reason?: "off" | "unavailable" | "blocked" | "full" | "broken" | "cleared";
}

export interface RealtimeClientOptions {
  /** The server, e.g. `http://127.0.0.1:4000`; `ws:` and `wss:` are accepted too. */
  url: string;
  /**
   * Called before each connection and join, and before the token expires. `refused` says that the server did not take the newest
   * token, although it may look good: answer with another one, not from a cache.
   *
   * When it throws it is asked again, ever more slowly. When no further try can help, because somebody has to sign in, throw an error
   * whose `retryable` is false, e.g. a ChoraleError: the status becomes `needs-auth`, until `reconnect()`.
   */
  getToken: (why: { readonly refused: boolean }) => string | Promise<string>;
  /** The environment: replace parts of it in tests, or on a platform without WebSocket. */
  platform?: Partial<Platform>;
  /** Keeps records and unsent writes on the device: `offline({ user })` of `@chorale/client/offline`. Default: in memory. */
  storage?: StorageFactory;
  /** How long a lost connection stays `isConnected`. Default 5,000 ms. */
  blipMs?: number;
  /** How long a channel nobody holds stays joined. Default 1,000 ms. */
  releaseMs?: number;
}

/** `setTimeout` and `clearTimeout` as browsers have them; a handle is whatever the first returns. */
export interface Timers {
  setTimeout(fn: () => void, ms: number): unknown;
  clearTimeout(handle: unknown): void;
}

/** Everything the client takes from outside. Nothing else in it reads a clock, draws a random number or opens a socket. */
export interface Platform extends Timers {
  now(): number;
  random(): number;
  /** Timers that are on time in hidden tabs too: for what the server, or another tab, waits for. */
  readonly steady: Timers;
  /** Runs `fn` in a task of its own, behind those that wait. Unlike timers it is not slow in hidden tabs. */
  nextTask(fn: () => void): void;
  uuid(): string;
  openSocket(url: string): SocketLike;
  /** The way around networks that block WebSockets, asked for when one has failed. `undefined`: there is none. */
  loadFallback?: ((host: FallbackHost) => Promise<Fallback>) | undefined;
  /** False only when the platform is sure that there is no network. */
  isOnline(): boolean;
  isVisible(): boolean;
  /** Tells about online, offline, visible, hidden and woken. */
  onHint(listener: (hint: "online" | "offline" | "visible" | "hidden" | "woken") => void): Unsubscribe;
  /** Where errors of listeners go. Default: `reportError` or `console.error`. */
  reportError(error: unknown): void;
}

/** What a fallback has to know of the connection that it is for. */
export interface FallbackHost {
  /** The server's address for HTTP, without a slash at the end. */
  readonly url: string;
  openWebSocket(token: string): SocketLike;
}

/** How a connection moves from one socket to another. */
export interface Moving {
  token(): Promise<string>;
  /** No answer is under way that would have to be asked for again. */
  isQuiet(): boolean;
  move(socket: SocketLike): void;
}

/** Finds the way around networks that block WebSockets, and back. It is told what became of attempts. */
export interface Fallback {
  /** What the next attempt should use. */
  readonly transport: Transport;
  /** Opens a socket of events and POSTs. */
  openSocket(token: string): SocketLike;
  /** The server was heard. */
  answered(): void;
  /** An attempt ended before the server was heard. */
  failed(): void;
  /** For a connection over events and POSTs: tries WebSockets until the server answers over one, which it then moves to. */
  watch(moving: Moving): void;
  /** While watching: something has changed, so it is worth a try at once. */
  look(): void;
  /** Ends the watch. */
  rest(): void;
}

export interface SocketLike {
  send(data: string): void;
  close(code?: number, reason?: string): void;
  onopen: (() => void) | null;
  onmessage: ((data: string) => void) | null;
  onclose: ((code: number, reason: string) => void) | null;
  /** What a developer should know of how its frames travel. */
  readonly via?: string | undefined;
}

export interface RealtimeClient {
  /** UUIDv7 of this tab or process. */
  readonly clientId: string;
  readonly connection: Store<ConnectionSnapshot>;
  readonly channels: ChannelManager;
  /** How many of this client's writes have not settled. */
  readonly pendingCount: Store<number>;
  /** Whether that, and the records, survive a reload. */
  readonly storage: Store<StorageSnapshot>;
  /** Keeps the connection open until released, with or without channels. Made and dropped by RealtimeProvider. */
  retain(): Unsubscribe;
  /** Tries again at once, from whatever state but closed. */
  reconnect(): void;
  /** Ends everything. Pending writes settle as `unknown`; those that are kept on the device are sent by the next client there. Idempotent. */
  close(): void;
  /** Closes, and forgets what is kept on the device, in all tabs: for signing out. Unsent writes are lost. */
  clear(): Promise<void>;
  on<E extends keyof ClientEvents>(event: E, listener: (detail: ClientEvents[E]) => void): Unsubscribe;
  /** For `@chorale/client/devtools`. What it gives changes without notice. */
  readonly debug?: ClientDebug;
}

/** A client as developers' tools see it: what is inside, and where they may put themselves in between. */
export interface ClientDebug {
  /** This client's own: replacing its functions changes what the client takes from outside. */
  readonly platform: Platform;
  /** Under the connection now. */
  socket(): SocketLike | undefined;
  channels(): readonly ChannelDebug[];
}

export interface ChannelDebug {
  readonly name: string;
  readonly isPrivate: boolean;
  readonly status: Store<ChannelSnapshot>;
  /** Where it stands in the channel's log; undefined before the first `synced`. */
  readonly position: { readonly epoch: string; readonly offset: number } | undefined;
  readonly presence: { readonly members: Store<readonly PresenceMember[]> };
  readonly records: {
    names(): readonly string[];
    collection(name: string): Collection;
    readonly pendingCount: Store<number>;
  };
}

export interface ClientEvents {
  /** Somebody's concurrent write won over one of this client's. */
  conflict: Conflict;
  /** A write was refused; its text is in `mutation`. */
  mutationFailed: MutationFailure;
  /** Messages were lost to this client: whoever derives state from them must load it again. */
  resync: { channel: string; reason: ResyncReason };
  error: ChoraleErrorLike;
}

export type ResyncReason = "epoch" | "truncated" | "future";

export interface Conflict {
  readonly channel: string;
  readonly collection: string;
  readonly recordId: string;
  readonly field: string;
  readonly mine: Json | undefined;
  readonly theirs: Json | undefined;
  /** Who wrote `theirs` (token `sub`), when known. */
  readonly by?: string;
}

export interface MutationFailure {
  readonly channel: string;
  readonly collection: string;
  readonly recordId: string;
  readonly op: MutationOp;
  readonly outcome: Exclude<Outcome, { status: "applied" | "noop" }>;
  /** What the person had written. */
  readonly fields: Readonly<Record<string, Json>>;
}

// ---------------------------------------------------------------- channels

export interface ChannelOptions {
  name: string;
  /** Take part in presence. Default false. */
  presence?: boolean;
  /** Wait for the server's acknowledgement in `publish`. Default true. */
  ack?: boolean;
  /** Private channels are governed by the server's rules; collections exist only there. Default true. */
  private?: boolean;
  /** Deliver this client's own broadcasts to its own listeners. Default false. */
  self?: boolean;
}

export interface ChannelManager {
  /**
   * Claims a channel. All claims of one name share one membership, which begins with the first claim and ends `releaseMs` after the
   * last one was released. Options add up: presence is on when any claim wants it.
   */
  getChannel(options: ChannelOptions): Channel;
  /** Names of the channels that are claimed or still joined. */
  list(): readonly string[];
}

export type ChannelStatus = "idle" | "joining" | "joined" | "rejoining" | "refused" | "closed";

export interface ChannelSnapshot {
  readonly status: ChannelStatus;
  /** True from the first `synced` on: what is shown is what the server had. */
  readonly isSynced: boolean;
  readonly error?: ChoraleErrorLike;
}

export interface Message<P = Json> {
  readonly id: string;
  readonly channel: string;
  readonly event: string;
  readonly payload: P;
  /** Place in the channel's log; absent for ephemeral messages. */
  readonly offset?: number;
  /** True when it came from the log, after a reconnect or by replay. */
  readonly replayed: boolean;
}

export interface PublishOptions {
  ack?: boolean;
  /** Deliver without logging: cursors, typing. Never queued while disconnected, never acknowledged. */
  ephemeral?: boolean;
  /** Identity of the message; publishing the same id again does nothing (B2). Default: a new UUIDv7. */
  id?: string;
}

/** One claim on a channel. */
export interface Channel {
  readonly name: string;
  readonly status: Store<ChannelSnapshot>;
  readonly presence: Presence;
  /**
   * Publishes a message. Resolves when it is in the log (with ack) or was handed to the socket (without). While disconnected a
   * logged message waits, and is sent once. Rejects with a ChoraleError when it is refused.
   */
  publish(event: string, payload: Json, options?: PublishOptions): Promise<{ id: string; offset?: number }>;
  /** Listens to one event, or to `"*"`. Messages are handed over once each, in log order (R1). */
  on<P = Json>(event: string, listener: (message: Message<P>) => void): Unsubscribe;
  /** Lets a handler take the events it names, one at a time, in log order. */
  use<P = Json>(handler: MessageHandler<P>): Unsubscribe;
  collection<T extends RecordShape = RecordShape>(name: string): Collection<T>;
  /** Gives the claim back. Idempotent. */
  release(): void;
}

/** What `Channel.use` takes; BaseMessageHandler implements it. */
export interface MessageHandler<P = Json> {
  readonly event: string | readonly string[];
  parse?(payload: unknown): P;
  handleMessage(message: Message<P>): void | Promise<void>;
  onError?(error: unknown, message: Message): void;
  /** Messages were missed; load again what was derived from them. */
  onResync?(reason: ResyncReason): void;
  /** Asked about an own message on a channel that was claimed without `self`: whether this handler waits for its echo. */
  expects?(id: string): boolean;
  /** First to see what comes; false passes over it. */
  admit?(incoming: Incoming): boolean;
}

/** What reaches a handler, in this order. */
export type Incoming = { readonly message: Message } | { readonly resync: ResyncReason };

// ---------------------------------------------------------------- presence

export interface PresenceMember<P = Record<string, Json>> {
  readonly key: string;
  /** Newest state of the key; `states` has one per connection. */
  readonly state: P;
  readonly states: readonly P[];
  readonly isSelf: boolean;
}

export interface Presence {
  /** All members, ordered by key. Stable reference until somebody changes. */
  readonly members: Store<readonly PresenceMember[]>;
  /**
   * Says something of oneself; said again after each reconnect. Coalesced: newest wins. It holds until the last claim of the channel
   * through which something was said is released.
   */
  set(state: Record<string, Json>): void;
  /** Changes some of it. */
  update(part: Record<string, Json>): void;
  clear(): void;
}

// ---------------------------------------------------------------- collections

/** An app's record: an object with fields. `id` and the metadata are added by Chorale. */
export type RecordShape = object;

/** What Chorale knows of a record beside its fields. */
export interface RecordMeta {
  readonly id: string;
  readonly version: number;
  readonly createdAt: number;
  readonly createdBy: string;
  readonly updatedAt: number;
  readonly updatedBy: string;
}

/** A record as an app sees it: frozen, the same reference until it changes. Fields, sets (sorted arrays) and counters side by side. */
export type Rec<T extends RecordShape> = Readonly<T> & RecordMeta;

export type MutationOp = "put" | "patch" | "delete" | "restore";

/** How one write stands. Absent for records without unsettled writes. */
export interface RecordStatus {
  readonly pending: number;
  /** The newest refused write, until dismissed or retried. */
  readonly failed?: MutationFailure;
}

export interface CollectionSnapshot<T extends RecordShape> {
  /** Every record that is not deleted, own pending writes included, ordered by id. */
  readonly records: readonly Rec<T>[];
  readonly byId: ReadonlyMap<string, Rec<T>>;
  /** Records with unsettled or refused writes. */
  readonly status: ReadonlyMap<string, RecordStatus>;
  /** True until there are records to show: the server's, or those that were kept on the device. */
  readonly isLoading: boolean;
  /** True while the records are those that were kept on the device, and the server has not been heard yet. */
  readonly isStale: boolean;
}

export type Outcome =
  | { status: "applied"; offset: number; lost?: readonly string[] }
  | { status: "noop"; offset: number }
  | { status: "superseded" | "exists" | "gone"; offset: number }
  | { status: "rejected"; offset?: number; code: string; message: string; path?: string; current?: Json }
  | { status: "unknown" };

/** A write that was made. Outcomes are data: neither promise ever rejects. */
export interface Mutation {
  readonly id: string;
  readonly recordId: string;
  /** Settles when the server has said what became of it and the collection shows that. */
  readonly settled: Promise<Outcome>;
}

/** Values for a patch: fields by name; a set as the whole new array (turned into adds and removes), counters by `{ increment: n }`. */
export type Patch<T extends RecordShape> = { [K in keyof T]?: T[K] | { increment: number } };

export interface Collection<T extends RecordShape = RecordShape> {
  readonly name: string;
  readonly snapshot: Store<CollectionSnapshot<T>>;
  /** Makes a record; the id is a new UUIDv7 unless given. It is in the snapshot when this returns. */
  add(value: T & { id?: string }): Mutation;
  patch(id: string, patch: Patch<T>, options?: { ifVersion?: number }): Mutation;
  delete(id: string): Mutation;
  /** Revives a deleted record, and may change it in the same write. */
  restore(id: string, patch?: Patch<T>): Mutation;
  /** Forgets a refused write that the app has dealt with. */
  dismiss(id: string): void;
  /** For `@chorale/client/undo`. What it gives changes without notice. */
  readonly inside?: CollectionInside;
}
