/**
 * Where channels and records meet. A channel owns the socket, the join and the position in the log; a ChannelStore owns what is
 * written and what is shown. Neither reads the other's state.
 */
import type { ChannelKeeper, KeptChannel, KeptWrite } from "../keeper";
import type { ClientEvents, Collection, Mutation, MutationOp, Outcome, RecordShape, Store, Unsubscribe } from "../types";
import type { RecordsPage, Stamp, WireChange, WireOutcome, WireRecord, WireRefusal, WireSynced } from "./wire";
import type { Write } from "./write";

/** What a channel gives its store. */
export interface StoreHost {
  readonly channel: string;
  /** The client id that this channel was joined with; it changes only by `renewClient`. */
  clientId(): string;
  /** Takes another client id for this channel, a new one unless it is given, and rejoins: what is sent next is numbered under it. */
  renewClient(client?: string): void;
  /** What keeps the channel on the device. Then the first client id is one that nobody had before. */
  readonly keeper?: ChannelKeeper | undefined;
  /** The highest offset of this channel that was seen, for `base`. */
  offset(): number;
  /** The token's `sub`, known from the first join on; "" before. */
  subject(): string;
  /** Server time as well as this client knows it, ms since 1970. */
  now(): number;
  uuid(): string;
  setTimeout(fn: () => void, ms: number): unknown;
  clearTimeout(handle: unknown): void;
  limits(): { readonly recordBytes: number; readonly frameBytes: number };
  /**
   * Pushes `mutate` with exactly this payload. `onReply` is called once with the answer, or never when the connection ends first.
   * Returns false, and does nothing, while the channel is not live.
   */
  sendMutation(payloadJson: string, onReply: (reply: { ok: WireOutcome } | { error: WireRefusal }) => void): boolean;
  emit<E extends "conflict" | "mutationFailed">(event: E, detail: ClientEvents[E]): void;
  /** The set of collections has grown: the channel must join again to get the new one. */
  collectionsChanged(): void;
  reportError(error: unknown): void;
}

/** How a write is to be taken. */
export interface WriteTerms {
  readonly ifVersion?: number;
  /** The write's time instead of now: it wins over what was written until then, and over nothing later (M2). */
  readonly at?: string;
  /** Neither a conflict nor a failure of it is an event: who makes it looks at its outcome. */
  readonly isQuiet?: boolean;
}

/**
 * Hears of a write: when it was made, with the record as it was shown before; and when it has settled, with its outcome and the record
 * as it was in the log before, where that is known. Writes that wait may become one, under the id of the first.
 */
export type WriteListener = (id: string, write: Write, before: WireRecord | undefined, outcome?: Outcome) => void;

/** A collection with what it merges by. */
export interface CollectionInside {
  /** The record as it is shown, also when it is deleted. */
  recordOf(id: string): WireRecord | undefined;
  /** Whether this client wrote what has this stamp. */
  isOwn(stamp: Stamp): boolean;
  write(op: MutationOp, id: string, value?: object, terms?: WriteTerms): Mutation;
  onWrite(listener: WriteListener): Unsubscribe;
  reportError(error: unknown): void;
}

/** All collections of one channel, and this client's unsettled writes to them. */
export interface ChannelStore {
  /** Names of the collections that somebody has asked for, for the join. */
  names(): readonly string[];
  /**
   * Names of the collections that are held at the channel's position: a resumed join brings only what changed in them since. The
   * others are loaded whole.
   */
  loaded(): readonly string[];
  /** The same object for the same name. */
  collection<T extends RecordShape>(name: string): Collection<T>;
  /** How many writes have not settled. */
  readonly pendingCount: Store<number>;

  /** Records of a collection as the server told them, for who keeps them. */
  told(collection: string): ReadonlyMap<string, WireRecord>;
  /** What was kept on the device, before the first join. */
  restore(kept: KeptChannel): void;
  /** Takes over writes of a tab that is gone. */
  adopt(writes: readonly KeptWrite[]): void;

  // In the order in which a channel calls them:
  onRecords(page: RecordsPage): void;
  onChange(change: WireChange): void;
  /** The catch-up is over: settle, send again what is above `last`, then what waits. The channel is live from here on. */
  onSynced(synced: WireSynced): void;
  /** The channel is not live any more; writes wait. */
  onDown(): void;
  /** The channel was refused or closed for good: writes settle as rejected with this code, or as unknown. */
  onClosed(reason?: { code: string; message: string }): void;
}

/** `createChannelStore(host)` in ./store.ts makes one; `withoutCollections()` one that has none. */
export type CreateChannelStore = (host: StoreHost) => ChannelStore;
