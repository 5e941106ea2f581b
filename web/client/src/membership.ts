/** One channel of this client: its join, its position in the log, and what it hands to messages, presence and records. */
import { byteLength } from "./collection/json";
import type { ChannelStore, CreateChannelStore, StoreHost } from "./collection/seam";
import type { WireRefusal } from "./collection/wire";
import type { Connection } from "./connection";
import { backoffMs } from "./connection-state";
import { ChoraleError } from "./errors";
import { HandlerQueue } from "./handler-queue";
import type { ChannelKeeper, ClientStorage, Position } from "./keeper";
import { PresenceState } from "./presence";
import {
  decodeBroadcast,
  decodeChange,
  decodeJoined,
  decodeOutcome,
  decodeRecords,
  decodeSynced,
  type Frame,
  type Joined,
  type Reply,
  TOPIC_PREFIX,
} from "./protocol";
import { broadcastJson, PublishQueue } from "./publish-queue";
import { Recent } from "./recent";
import { Listeners, ValueStore } from "./store";
import type { TokenSource } from "./token";
import type {
  ChannelSnapshot,
  ChannelStatus,
  ClientEvents,
  Json,
  Message,
  MessageHandler,
  Platform,
  PublishOptions,
  ResyncReason,
  Unsubscribe,
} from "./types";

const JOIN_MS = 10_000;
/** A refusal for good is asked about again, because rules and roles change. */
const REFUSED_RETRY_MS = 30_000;
/** Own messages whose echo is not to be delivered, remembered by id. */
const OWN_KEPT = 2_000;
/** Room for refs, topic and event around a payload. Bytes. */
const FRAME_MARGIN = 1_024;

/** Refusals that a new token may cure. */
const TOKEN_CODE = /^(api_key|token|invalid_jwt|signature|key|claims?|algorithm|expiration|issuer|audience)_/;

export interface MembershipDeps {
  readonly connection: Connection;
  readonly tokens: TokenSource;
  readonly platform: Platform;
  readonly clientId: string;
  readonly storage: ClientStorage | undefined;
  readonly createStore: CreateChannelStore;
  emit<E extends keyof ClientEvents>(event: E, detail: ClientEvents[E]): void;
}

/** What the claims on a channel want, added up. */
export interface Wishes {
  readonly presence: boolean;
  readonly self: boolean;
}

export class Membership {
  readonly name: string;
  readonly isPrivate: boolean;
  readonly status: ValueStore<ChannelSnapshot>;
  readonly presence: PresenceState;
  readonly records: ChannelStore;

  readonly #deps: MembershipDeps;
  readonly #topic: string;
  readonly #handlers: HandlerQueue;
  readonly #messages: Listeners<[Message]>;
  readonly #queue: PublishQueue;
  readonly #own = new Recent(OWN_KEPT);

  #wishes: Wishes = { presence: false, self: false };
  /** Once asked for, presence stays: joining again only to see less is not worth it. */
  #hasPresence = false;
  #clientId: string;
  #joinRef: string | undefined;
  #joined = false; // the server has said yes
  #live = false; // and the catch-up is over
  #joinedWith = ""; // what the join asked for
  #token = ""; // the newest that the server was told
  #attempt = 0;
  readonly #keeper: ChannelKeeper | undefined;
  /** Until what was kept on the device is there: the join has to name its position. */
  #loading: Promise<void> | undefined;
  #generation = 0;
  #timer: unknown;
  #rejoin: unknown;
  /** What the next join resumes from. It moves while the channel is live: a catch-up that was cut short is begun again. */
  #position: Position | undefined;
  /** The app was told that messages were lost, and the catch-up after that is not over. */
  #isResyncing = false;
  /** The highest offset that was handed on, so that what comes again with the next catch-up is not. */
  #delivered = 0;
  #limits: Joined["limits"] = { recordBytes: 262_144, frameBytes: 5_000_000 };
  #clockOffsetMs = 0;
  #subject = "";
  /** Why nothing happens here any more. */
  #ended: ChoraleError | undefined;

  constructor(name: string, isPrivate: boolean, deps: MembershipDeps) {
    this.name = name;
    this.isPrivate = isPrivate;
    this.#deps = deps;
    this.#topic = TOPIC_PREFIX + name;
    const { platform, storage } = deps;
    // With a storage numbers are given before the first join, so they must not have been given to anything else.
    this.#clientId = storage ? platform.uuid() : deps.clientId;
    this.#subject = storage?.user ?? "";
    this.#keeper = storage?.channel(`${isPrivate ? "private" : "public"}:${name}`, {
      position: () => this.#position,
      loaded: () => this.records.loaded(),
      records: (collection) => this.records.told(collection),
      adopt: (writes) => this.records.adopt(writes),
    });
    const report = platform.reportError;
    this.status = new ValueStore<ChannelSnapshot>({ status: "idle", isSynced: false }, report);
    this.#handlers = new HandlerQueue(report);
    this.#messages = new Listeners(report);
    this.#queue = new PublishQueue(platform, (json, onReply) => this.#live && this.#push("broadcast", json, onReply));
    this.presence = new PresenceState({
      key: () => deps.clientId,
      track: (state) => this.#say(`{"type":"presence","event":"track","payload":${state}}`),
      untrack: () => this.#say('{"type":"presence","event":"untrack"}'),
      platform,
      report,
      onWanted: () => {
        this.#hasPresence = true;
        this.#rejoinSoon();
      },
    });
    this.records = deps.createStore(this.#host());
    this.#loading = this.#keeper && this.#load(this.#keeper);
  }

  get position(): Position | undefined {
    return this.#position;
  }

  get isLive(): boolean {
    return this.#live;
  }

  /** Goes on from what was kept on the device. */
  async #load(keeper: ChannelKeeper): Promise<void> {
    const kept = await keeper.load();
    this.#loading = undefined;
    if (kept === undefined || this.#ended) return;
    this.#position = kept.position;
    this.#delivered = kept.position?.offset ?? 0;
    this.records.restore(kept);
  }

  // ---- what claims do

  setWishes(wishes: Wishes): void {
    this.#wishes = wishes;
    this.#hasPresence ||= wishes.presence;
    this.#rejoinSoon();
  }

  onMessage(listener: (message: Message) => void): Unsubscribe {
    return this.#messages.add(listener);
  }

  use<P = Json>(handler: MessageHandler<P>): Unsubscribe {
    return this.#handlers.use(handler);
  }

  async publish(
    event: string,
    payload: Json,
    options: PublishOptions & { ack: boolean },
  ): Promise<{ id: string; offset?: number }> {
    const id = options.id ?? this.#deps.platform.uuid();
    const { status, error } = this.status.getSnapshot();
    if (this.#ended) throw this.#ended;
    if (status === "refused" && error) throw error;
    const { ephemeral = false, ack } = options;
    const payloadJson = broadcastJson(event, payload, { id, ...(ephemeral && { ephemeral }) });
    if (byteLength(payloadJson) + FRAME_MARGIN > this.#limits.frameBytes) {
      throw new ChoraleError("payload_size_exceeded", `a frame holds ${this.#limits.frameBytes} bytes at most`);
    }
    this.#own.add(id);
    if (!ephemeral) return this.#queue.publish(id, payloadJson, ack);
    if (this.#live) this.#push("broadcast", payloadJson);
    return { id };
  }

  /** Leaves, and forgets nothing but the membership: the records stay shown until the object is let go. */
  close(error = new ChoraleError("channel_released", `channel ${this.name} was released`)): void {
    if (this.#ended) return;
    this.#push("phx_leave", "{}");
    this.#endIncarnation();
    this.#ended = error;
    this.#keeper?.close();
    this.#queue.close(error);
    this.records.onClosed();
    this.#show("closed");
  }

  // ---- the join

  /** The connection is there. */
  onUp(): void {
    this.#attempt = 0;
    void this.#join();
  }

  /** The connection is gone; the position stays. */
  onDown(): void {
    this.#endIncarnation();
    if (this.status.getSnapshot().status === "refused") return;
    this.#show(this.status.getSnapshot().isSynced ? "rejoining" : "joining");
  }

  #endIncarnation(): void {
    this.#generation++;
    this.#clearTimers();
    this.#joinRef = undefined;
    this.#joined = false;
    if (this.#live) {
      this.#live = false;
      this.records.onDown();
    }
    this.#queue.onDown();
    this.presence.onDown();
  }

  #clearTimers(): void {
    this.#deps.platform.clearTimeout(this.#timer);
    this.#deps.platform.clearTimeout(this.#rejoin);
    this.#timer = this.#rejoin = undefined;
  }

  /** `refused` says that the server may have ended or refused the channel because of its token. */
  async #join(refused = false): Promise<void> {
    if (this.#ended || !this.#deps.connection.isOpen) return;
    this.#endIncarnation();
    const generation = this.#generation;
    const current = () => generation === this.#generation && !this.#ended;
    this.#show(this.status.getSnapshot().isSynced ? "rejoining" : "joining");
    let token: string;
    try {
      await this.#loading;
      token = await (refused ? this.#deps.tokens.instead(this.#token) : this.#deps.tokens.get());
    } catch (error) {
      if (!current()) return;
      this.#retry(asError(error, "token_unavailable"));
      this.#deps.connection.tokenFailed(error); // which may end all tries
      return;
    }
    if (!current()) return;
    this.#token = token;
    const config = this.#config();
    const ref = this.#deps.connection.nextRef();
    this.#joinRef = ref;
    this.#joinedWith = config;
    this.#timer = this.#deps.platform.setTimeout(() => {
      this.#push("phx_leave", "{}");
      this.#retry(new ChoraleError("join_timeout", "the server did not answer the join within 10 s", { retryable: true }));
    }, JOIN_MS);
    this.#deps.connection.pushJoin(ref, this.#topic, this.#joinPayload(config, token), (reply) => {
      if (current()) this.#answered(reply);
    });
  }

  /** What the join asks for, leaving out what may differ from join to join. */
  #config(): string {
    return JSON.stringify({
      broadcast: { ack: true, self: true },
      presence: { enabled: this.#hasPresence, key: this.#deps.clientId },
      private: this.isPrivate,
      collections: this.records.names(),
      client: this.#clientId,
    });
  }

  #joinPayload(config: string, token: string): string {
    const { collections, client, ...plain } = JSON.parse(config) as Record<string, Json>;
    const resume = this.#position && { resume: { ...this.#position, collections: this.records.loaded() } };
    return JSON.stringify({ config: { ...plain, chorale: { v: 1, client, collections, ...resume } }, access_token: token });
  }

  #answered(reply: Reply): void {
    this.#deps.platform.clearTimeout(this.#timer);
    if (!reply.ok) {
      this.#refused(reply.error);
      return;
    }
    let joined: Joined;
    try {
      joined = decodeJoined(reply.response);
    } catch (error) {
      this.#retry(asError(error, "protocol_error"));
      return;
    }
    const { storage, tokens } = this.#deps;
    if (storage && storage.user !== joined.sub) {
      const message = `the token is of ${joined.sub}, and what is kept on this device of ${storage.user}`;
      this.#push("phx_leave", "{}");
      this.#retry(new ChoraleError("other_user", message), REFUSED_RETRY_MS, true);
      return;
    }
    this.#joined = true;
    this.#subject = joined.sub;
    this.#limits = joined.limits;
    this.#clockOffsetMs = joined.now - this.#deps.platform.now();
    if (!joined.resumed) this.#delivered = 0; // what follows is counted anew
    if (this.#position && !joined.resumed) this.#resync(resyncReason(joined.reason));
    const { held } = tokens;
    if (held !== undefined && held !== this.#token) this.onToken(held); // it came while the join was on the way
    this.presence.onJoined();
  }

  /** Messages were lost. That is told once, however often the catch-up is cut short. */
  #resync(reason: ResyncReason): void {
    // Records go on from it (S3): a catch-up that is cut short loads only what changed, and forgets no deleted record.
    if (reason !== "truncated") this.#position = undefined;
    if (this.#isResyncing) return;
    this.#isResyncing = true;
    this.#handlers.resync(reason);
    this.#deps.emit("resync", { channel: this.name, reason });
  }

  #refused(error: WireRefusal): void {
    const failure = errorOf(error);
    if (error.retryable || TOKEN_CODE.test(error.code)) {
      this.#retry(failure, error.retryAfterMs, !error.retryable);
      return;
    }
    this.#endIncarnation();
    if (this.#keeper) {
      this.#keeper.purge();
      this.#position = undefined; // of nothing any more
    }
    this.records.onClosed({ code: error.code, message: error.message });
    this.#queue.close(failure);
    this.#show("refused", failure);
    this.#timer = this.#deps.platform.setTimeout(() => void this.#join(), REFUSED_RETRY_MS);
  }

  /** Joins again after a while. */
  #retry(error: ChoraleError, afterMs?: number, tokenRefused = false): void {
    this.#endIncarnation();
    this.#show(this.status.getSnapshot().isSynced ? "rejoining" : "joining", error);
    const ms = afterMs ?? backoffMs(this.#attempt++, this.#deps.platform.random());
    this.#timer = this.#deps.platform.setTimeout(() => void this.#join(tokenRefused), ms);
  }

  /** Joins again when what is wanted is not what was joined with. In a moment, because wishes come in handfuls. */
  #rejoinSoon(): void {
    if (this.#ended || this.#rejoin !== undefined || this.#joinRef === undefined) return;
    this.#rejoin = this.#deps.platform.setTimeout(() => {
      this.#rejoin = undefined;
      if (this.#joinRef !== undefined && this.#config() !== this.#joinedWith) void this.#join();
    }, 0);
  }

  /** A new token, for a channel that is joined or was refused. A join that is on the way looks for it when it is answered. */
  onToken(token: string): void {
    if (this.#joined) {
      this.#token = token;
      this.#push("access_token", JSON.stringify({ access_token: token }));
    } else if (this.status.getSnapshot().status === "refused") void this.#join();
  }

  /** Pushes while there is a join. `onReply` is not called when the server turns out to know nothing of that join: it is made again. */
  #push(event: string, payloadJson: string, onReply: (reply: Reply) => void = () => {}): boolean {
    const joinRef = this.#joinRef;
    if (joinRef === undefined) return false;
    const answered = (reply: Reply) => {
      if (reply.ok || reply.error.code !== "unmatched_topic") onReply(reply);
      else if (joinRef === this.#joinRef) this.#retry(errorOf(reply.error));
    };
    return this.#deps.connection.push(this.#topic, event, payloadJson, joinRef, answered) !== undefined;
  }

  /** Pushes what this client says of itself. */
  #say(payloadJson: string): boolean {
    if (!this.#joined) return false;
    return this.#push("presence", payloadJson, (reply) => {
      if (reply.ok) return;
      this.#deps.emit("error", errorOf(reply.error));
      if (reply.error.retryable) this.presence.onRefused(reply.error.retryAfterMs);
    });
  }

  // ---- what the server says

  /** A frame of this topic that is no reply. */
  onFrame(frame: Frame): void {
    if (frame.topic !== this.#topic) return;
    if (frame.joinRef !== null && frame.joinRef !== this.#joinRef) return; // of an incarnation that is gone
    switch (frame.event) {
      case "phx_error":
        this.#retry(new ChoraleError("channel_error", "the server ended the channel; joining again", { retryable: true }));
        return;
      case "phx_close":
        this.#retry(
          new ChoraleError("channel_closed", "the server closed the channel; joining again", { retryable: true }),
          undefined,
          true,
        );
        return;
    }
    if (!this.#joined) return;
    switch (frame.event) {
      case "broadcast":
        this.#broadcast(frame.payload);
        return;
      case "presence_state":
        this.presence.onState(frame.payload);
        return;
      case "presence_diff":
        this.presence.onDiff(frame.payload);
        return;
      case "records":
        this.records.onRecords(decodeRecords(frame.payload));
        return;
      case "change": {
        const change = decodeChange(frame.payload);
        this.#seen(change.offset);
        this.records.onChange(change);
        return;
      }
      case "synced":
        this.#synced(frame.payload);
        return;
    }
  }

  #broadcast(payload: unknown): void {
    const wire = decodeBroadcast(payload);
    if (wire.offset !== undefined && !this.#seen(wire.offset)) return; // twice
    const isOwn = wire.id !== undefined && this.#own.has(wire.id);
    const message: Message = Object.freeze({
      id: wire.id ?? this.#deps.platform.uuid(),
      channel: this.name,
      event: wire.event,
      payload: wire.payload,
      replayed: wire.replayed,
      ...(wire.offset !== undefined && { offset: wire.offset }),
    });
    const isEcho = isOwn && !this.#wishes.self;
    this.#handlers.dispatch(message, isEcho);
    if (!isEcho) this.#messages.tell(message);
  }

  /** Whether this offset is new. */
  #seen(offset: number): boolean {
    if (offset <= this.#delivered) return false;
    this.#delivered = offset;
    if (this.#live && this.#position) {
      this.#position = { epoch: this.#position.epoch, offset };
      this.#keeper?.changed();
    }
    return true;
  }

  #synced(payload: unknown): void {
    const synced = decodeSynced(payload);
    this.#delivered = Math.max(this.#delivered, synced.offset);
    this.#position = { epoch: synced.epoch, offset: this.#delivered };
    this.#isResyncing = false;
    this.#live = true;
    this.#attempt = 0;
    this.records.onSynced(synced);
    this.#show("joined");
    this.#queue.flush();
    this.#rejoinSoon();
  }

  // ---- what records need

  #host(): StoreHost {
    const { platform } = this.#deps;
    return {
      channel: this.name,
      clientId: () => this.#clientId,
      keeper: this.#keeper,
      renewClient: (client = platform.uuid()) => {
        this.#clientId = client;
        this.#rejoinSoon();
      },
      offset: () => this.#position?.offset ?? 0,
      subject: () => this.#subject,
      now: () => platform.now() + this.#clockOffsetMs,
      uuid: platform.uuid,
      setTimeout: platform.setTimeout,
      clearTimeout: platform.clearTimeout,
      limits: () => this.#limits,
      sendMutation: (payloadJson, onReply) => {
        const joinRef = this.#joinRef;
        const answered = (reply: Reply) => {
          // What a join that is gone has to say, the next one's `synced` says as well.
          if (joinRef === this.#joinRef) onReply(reply.ok ? { ok: decodeOutcome(reply.response) } : { error: reply.error });
        };
        return this.#live && this.#push("mutate", payloadJson, answered);
      },
      emit: this.#deps.emit,
      collectionsChanged: () => this.#rejoinSoon(),
      reportError: platform.reportError,
    };
  }

  #show(status: ChannelStatus, error?: ChoraleError): void {
    const before = this.status.getSnapshot();
    const isSynced = status === "joined" || (before.isSynced && status !== "closed");
    if (before.status === status && before.isSynced === isSynced && before.error === error) return;
    this.status.set(Object.freeze({ status, isSynced, ...(error && { error }) }));
  }
}

function resyncReason(reason: string): ResyncReason {
  return reason === "truncated" || reason === "future" ? reason : "epoch";
}

function errorOf({ code, message, retryable }: WireRefusal): ChoraleError {
  return new ChoraleError(code, message, { retryable });
}

function asError(error: unknown, code: string): ChoraleError {
  if (error instanceof ChoraleError) return error;
  return new ChoraleError(code, error instanceof Error ? error.message : String(error), { retryable: true, cause: error });
}
