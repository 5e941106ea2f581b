import type { Content } from "../collection/reduce";
import type { WireError, WireRefusal } from "../collection/wire";
import { isObject } from "../protocol";
import type { Json, MutationOp } from "../types";
import type { FakeChannel, Member, Position } from "./channel";
import type { FakeMutation } from "./mutations";
import type { FakeFrame, FakeSocket } from "./socket";
import { decodeToken, type FakeIdentity } from "./token";

/** What a session asks of its server. */
export interface SessionHost {
  now(): number;
  setTimeout(run: () => void, ms: number): unknown;
  clearTimeout(handle: unknown): void;
  channel(name: string): FakeChannel;
  /** Why a join is refused, if it is. */
  refuseJoin(who: FakeIdentity, channel: string, collections: readonly string[]): WireRefusal | undefined;
  /** Why a mutation is refused without being looked at, if it is. */
  refuseMutation(): WireRefusal | undefined;
  /** Why a mutation is rejected, if it is. */
  faultOf(who: FakeIdentity, channel: string, mutation: FakeMutation): WireError | undefined;
}

interface Subscription {
  readonly member: Member;
  readonly channel: FakeChannel;
  readonly joinRef: string;
  readonly acks: boolean;
  identity: FakeIdentity;
  expiry: unknown;
}

const LIMITS = { frameBytes: 5_000_000, recordBytes: 262_144 };
const TOPIC = "realtime:";
/** A longer timer would overflow the platform's. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** One socket's server side. */
export class FakeSession {
  readonly #host: SessionHost;
  readonly #socket: FakeSocket;
  readonly #identity: FakeIdentity;
  readonly #subscriptions = new Map<string, Subscription>();

  constructor(host: SessionHost, socket: FakeSocket, identity: FakeIdentity) {
    this.#host = host;
    this.#socket = socket;
    this.#identity = identity;
  }

  receive(frame: FakeFrame): void {
    const payload = isObject(frame.payload) ? frame.payload : {};
    if (frame.topic === "phoenix") {
      this.#ok(frame, {});
      return;
    }
    if (frame.event === "phx_join") {
      this.#join(frame, payload);
      return;
    }
    const subscription = this.#subscriptions.get(frame.topic);
    if (subscription === undefined || (frame.joinRef !== null && frame.joinRef !== subscription.joinRef)) {
      this.#error(frame, { code: "unmatched_topic", message: "not joined", retryable: false });
      return;
    }
    switch (frame.event) {
      case "phx_leave":
        this.#drop(frame.topic);
        this.#ok(frame, {});
        this.#close(frame.topic, subscription.joinRef);
        return;
      case "access_token":
        this.#refresh(frame.topic, subscription, payload);
        return;
      case "broadcast":
        this.#broadcast(frame, subscription, payload);
        return;
      case "presence":
        this.#presence(frame, subscription, payload);
        return;
      case "mutate":
        this.#mutate(frame, subscription, payload);
        return;
      default:
        this.#error(frame, { code: "unknown_event", message: `nobody knows ${frame.event}`, retryable: false });
    }
  }

  /** The socket is gone. */
  end(): void {
    for (const topic of [...this.#subscriptions.keys()]) this.#drop(topic);
  }

  #join(frame: FakeFrame, payload: Fields): void {
    const { topic } = frame;
    const joinRef = frame.joinRef ?? frame.ref ?? "";
    const old = this.#subscriptions.get(topic);
    if (old !== undefined) {
      this.#drop(topic);
      this.#close(topic, old.joinRef); // J2
    }
    const identity = this.#identityOf(payload.access_token);
    if (identity === undefined || identity.expiresAt <= this.#host.now()) {
      this.#error(frame, { code: "token_expired", message: "the token has expired", retryable: false });
      return;
    }
    const name = topic.slice(TOPIC.length);
    const wants = wishesOf(payload);
    const refusal = this.#host.refuseJoin(identity, name, wants.collections);
    if (refusal !== undefined) {
      this.#error(frame, refusal);
      return;
    }
    const channel = this.#host.channel(name);
    const member: Member = {
      ...{ sub: identity.sub, client: wants.client, collections: wants.collections, isSelf: wants.isSelf },
      ...{ presenceKey: wants.presenceKey, hasPresence: wants.hasPresence },
      push: (event, body) => this.#push(topic, event, body),
    };
    const subscription: Subscription = { member, channel, joinRef, acks: wants.acks, identity, expiry: undefined };
    this.#subscriptions.set(topic, subscription);
    this.#watchExpiry(topic, subscription);
    const chorale = {
      ...{ v: 1, ...channel.position, ...channel.resume(wants.resume), collections: wants.collections },
      ...{ sub: identity.sub, now: this.#host.now(), limits: LIMITS },
    };
    this.#ok(frame, { postgres_changes: [], chorale });
    channel.catchUp(member, wants.resume);
  }

  #refresh(topic: string, subscription: Subscription, payload: Fields): void {
    const identity = this.#identityOf(payload.access_token);
    if (identity === undefined || identity.expiresAt <= this.#host.now()) this.#shut(topic, subscription.joinRef);
    else {
      subscription.identity = identity;
      this.#watchExpiry(topic, subscription);
    }
  }

  #broadcast(frame: FakeFrame, { member, channel, acks }: Subscription, payload: Fields): void {
    const meta = isObject(payload.meta) ? payload.meta : {};
    const id = typeof meta.id === "string" ? meta.id : `made-by-server-${frame.ref}`;
    if (meta.ephemeral === true) {
      channel.send(payload, id, member);
      if (acks) this.#ok(frame, {});
      return;
    }
    const offset = channel.publish(payload, id, member);
    if (acks) this.#ok(frame, { id, offset });
  }

  #presence(frame: FakeFrame, { member, channel }: Subscription, payload: Fields): void {
    // What JSON.parse made is Json.
    if (payload.event === "track" && isObject(payload.payload)) channel.track(member, payload.payload as Json & object);
    else if (payload.event === "untrack") channel.untrack(member);
    this.#ok(frame, {});
  }

  #mutate(frame: FakeFrame, { channel, identity }: Subscription, payload: Fields): void {
    const refusal = this.#host.refuseMutation();
    if (refusal !== undefined) {
      this.#error(frame, refusal);
      return;
    }
    const mutation = mutationOf(payload);
    const answer = channel.mutate(mutation, identity.sub, () => this.#host.faultOf(identity, channel.name, mutation));
    if ("ok" in answer) this.#ok(frame, answer.ok);
    else this.#error(frame, answer.error);
  }

  #identityOf(token: unknown): FakeIdentity | undefined {
    return typeof token === "string" ? decodeToken(token) : this.#identity;
  }

  #watchExpiry(topic: string, subscription: Subscription): void {
    this.#host.clearTimeout(subscription.expiry);
    const ms = Math.min(subscription.identity.expiresAt - this.#host.now(), MAX_TIMER_MS);
    subscription.expiry = this.#host.setTimeout(() => this.#shut(topic, subscription.joinRef), ms);
  }

  /** Ends a channel whose token is no longer good. */
  #shut(topic: string, joinRef: string): void {
    this.#drop(topic);
    this.#push(topic, "system", { extension: "system", status: "error", message: "Token has expired", channel: topic });
    this.#close(topic, joinRef);
  }

  #drop(topic: string): void {
    const subscription = this.#subscriptions.get(topic);
    if (subscription === undefined) return;
    this.#subscriptions.delete(topic);
    this.#host.clearTimeout(subscription.expiry);
    subscription.channel.leave(subscription.member);
  }

  #ok({ joinRef, ref, topic }: FakeFrame, response: unknown): void {
    this.#socket.send(JSON.stringify([joinRef, ref, topic, "phx_reply", { status: "ok", response }]));
  }

  #error({ joinRef, ref, topic }: FakeFrame, { message, ...rest }: WireRefusal): void {
    const response = { ...rest, reason: `Refused: ${message}` };
    this.#socket.send(JSON.stringify([joinRef, ref, topic, "phx_reply", { status: "error", response }]));
  }

  #push(topic: string, event: string, payload: unknown): void {
    this.#socket.send(JSON.stringify([null, null, topic, event, payload]));
  }

  /** F6: the channel's join_ref as both refs. */
  #close(topic: string, joinRef: string): void {
    this.#socket.send(JSON.stringify([joinRef, joinRef, topic, "phx_close", {}]));
  }
}

type Fields = Readonly<Record<string, unknown>>;

/** The config of a join, as far as a fake server looks at it. */
function wishesOf(payload: Fields) {
  const config = isObject(payload.config) ? payload.config : {};
  const broadcast = isObject(config.broadcast) ? config.broadcast : {};
  const presence = isObject(config.presence) ? config.presence : {};
  const chorale = isObject(config.chorale) ? config.chorale : {};
  const collections: readonly unknown[] = Array.isArray(chorale.collections) ? chorale.collections : [];
  return {
    acks: broadcast.ack === true,
    isSelf: broadcast.self === true,
    hasPresence: presence.enabled !== false,
    presenceKey: typeof presence.key === "string" ? presence.key : "",
    client: typeof chorale.client === "string" ? chorale.client : "",
    collections: collections.filter((name) => typeof name === "string"),
    resume: positionOf(chorale.resume),
  };
}

function positionOf(value: unknown): Position | undefined {
  if (!isObject(value) || typeof value.epoch !== "string" || typeof value.offset !== "number") return undefined;
  const { epoch, offset, collections } = value;
  return { epoch, offset, ...(Array.isArray(collections) && { collections: collections.map(String) }) };
}

/** What a client of this package sends is well-formed; the server's own tests are where the rest is refused. */
function mutationOf(payload: Fields): FakeMutation {
  const { client, n, id, at, base, op, collection, record, ifVersion } = payload;
  const content = { fields: payload.fields ?? {}, sets: payload.sets ?? {}, counters: payload.counters ?? {} } as Content;
  const text = (value: unknown) => (typeof value === "string" ? value : "");
  return {
    ...content,
    ...{ client: text(client), n: Number(n), id: text(id), at: text(at), base: Number(base ?? 0) },
    ...{ op: text(op) as MutationOp, collection: text(collection), record: text(record) },
    ...(typeof ifVersion === "number" && { ifVersion }),
  };
}
