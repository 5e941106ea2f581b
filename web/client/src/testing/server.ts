import type { WireError, WireRefusal } from "../collection/wire";
import type { SocketLike, Unsubscribe } from "../types";
import { FakeChannel } from "./channel";
import { FakeSharedSocket } from "./lanes";
import type { FakeMutation } from "./mutations";
import type { FakePlatform } from "./platform";
import { FakeSession, type SessionHost } from "./session";
import { type FakeFrame, FakeSocket, type Fate, type Network } from "./socket";
import { decodeToken, encodeToken, type FakeIdentity } from "./token";

/** Who may do what. What is left out is allowed. */
export interface FakeRules {
  join?(who: FakeIdentity, channel: string): WireRefusal | undefined;
  /** The collections of a channel. Default: whichever is asked for. */
  collections?(channel: string): readonly string[];
  /** A schema or a write condition (M5): why the mutation is rejected. */
  write?(who: FakeIdentity, channel: string, mutation: FakeMutation): WireError | undefined;
}

export interface FakeServerOptions {
  /** Its sockets lead here from now on. */
  platform: FakePlatform;
  rules?: FakeRules;
  /** ms that each frame travels. Default 0: until time is moved the next time, if only by 0 ms. */
  latencyMs?: number;
}

/**
 * A server in memory that speaks the wire's frames, and does to them what networks do.
 *
 *     const platform = createFakePlatform();
 *     const server = createFakeServer({ platform });
 *     const client = createRealtimeClient({ url: "http://fake", getToken: () => server.token("ada"), platform });
 */
export interface FakeServer {
  /** A token for a user. `ttlMs` defaults to an hour. */
  token(sub: string, options?: { role?: string; ttlMs?: number }): string;
  /** The channel of this name, made when it is not there. */
  channel(name: string): FakeChannel;
  /** Every frame that was sent so far, oldest first, whatever became of it. */
  readonly frames: readonly FakeFrame[];
  /** How many sockets are open. One that is shared counts once, however many lanes it has. */
  readonly sockets: number;
  /** Decides what becomes of frames. The first interceptor that has an opinion counts. */
  intercept(fate: (frame: FakeFrame) => Fate | undefined): Unsubscribe;
  /** Frames wait, in order, until `resume`. */
  pause(): void;
  resume(): void;
  /** Frames vanish, and sockets look open, until called with false. */
  blackHole(isOn: boolean): void;
  /** Ends every connection. Default: 1006, as when the network breaks. */
  kill(code?: number, reason?: string): void;
  /** Ends every connection as a server does that restarts. Logs stay. */
  restart(): void;
  /** Connections fail at once until called with false. */
  unreachable(isOn: boolean): void;
  /** WebSockets fail at once until called with false, and HTTP works: what some networks do. Those that are open stay. */
  blockWebSockets(isOn: boolean): void;
  /** Every token is refused on connecting (C1) until called with false. */
  refuseTokens(isOn: boolean): void;
  /** The next mutation whose turn it is, and that would be applied, is rejected: its number is consumed. */
  rejectNext(error: WireError): void;
  /** The next mutation is answered with an error: its number is not consumed. */
  refuseNext(refusal: WireRefusal): void;
  /** Joins are refused until called without a refusal. */
  denyJoins(refusal?: WireRefusal): void;
  /** Everything that channels hold now; calling the result brings it back, as from a backup. */
  backup(): () => void;
}

/** Makes a fake server and connects the platform to it. */
export function createFakeServer(options: FakeServerOptions): FakeServer {
  return new Server(options);
}

class Server implements FakeServer, SessionHost, Network {
  readonly platform: FakePlatform;
  readonly latencyMs: number;
  readonly frames: FakeFrame[] = [];
  readonly #rules: FakeRules;
  readonly #channels = new Map<string, FakeChannel>();
  readonly #sockets = new Map<FakeSocket, FakeSession | undefined>();
  /** Those that are lanes, and of which socket. */
  readonly #shared = new WeakMap<FakeSocket, FakeSharedSocket>();
  readonly #interceptors = new Set<(frame: FakeFrame) => Fate | undefined>();
  readonly #rejections: WireError[] = [];
  readonly #refusals: WireRefusal[] = [];
  #opened = 0;
  #isPaused = false;
  #isBlackHole = false;
  #isUnreachable = false;
  #blocksWebSockets = false;
  #refusesTokens = false;
  #joinRefusal: WireRefusal | undefined;

  constructor({ platform, rules = {}, latencyMs = 0 }: FakeServerOptions) {
    this.platform = platform;
    this.latencyMs = latencyMs;
    this.#rules = rules;
    platform.connectTo(
      (url) => (url.includes("/socket/lanes") ? this.#connectShared(url) : this.#connect(url).client),
      () => !this.#isUnreachable && !this.#isBlackHole,
    );
  }

  get sockets(): number {
    return new Set([...this.#sockets.keys()].map((socket) => this.#shared.get(socket) ?? socket)).size;
  }

  // ---- for tests

  token(sub: string, { role = "authenticated", ttlMs = 3_600_000 }: { role?: string; ttlMs?: number } = {}): string {
    return encodeToken({ sub, role, expiresAt: this.platform.now() + ttlMs });
  }

  channel(name: string): FakeChannel {
    let channel = this.#channels.get(name);
    if (channel === undefined) {
      channel = new FakeChannel(name, `epoch-of-${name}`, () => this.platform.now());
      this.#channels.set(name, channel);
    }
    return channel;
  }

  intercept(fate: (frame: FakeFrame) => Fate | undefined): Unsubscribe {
    this.#interceptors.add(fate);
    return () => this.#interceptors.delete(fate);
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    for (const socket of this.#sockets.keys()) socket.resume();
  }

  blackHole(isOn: boolean): void {
    this.#isBlackHole = isOn;
  }

  kill(code = 1006, reason = ""): void {
    for (const socket of [...this.#sockets.keys()]) socket.close(code, reason);
  }

  restart(): void {
    this.kill(1012, "drainMs=1000");
  }

  unreachable(isOn: boolean): void {
    this.#isUnreachable = isOn;
  }

  blockWebSockets(isOn: boolean): void {
    this.#blocksWebSockets = isOn;
  }

  refuseTokens(isOn: boolean): void {
    this.#refusesTokens = isOn;
  }

  rejectNext(error: WireError): void {
    this.#rejections.push(error);
  }

  refuseNext(refusal: WireRefusal): void {
    this.#refusals.push(refusal);
  }

  denyJoins(refusal?: WireRefusal): void {
    this.#joinRefusal = refusal;
  }

  backup(): () => void {
    const restores = [...this.#channels.values()].map((channel) => channel.backup());
    return () => {
      for (const restore of restores) restore();
    };
  }

  // ---- for sockets

  fateOf(frame: FakeFrame): Fate {
    this.frames.push(frame);
    for (const interceptor of this.#interceptors) {
      const fate = interceptor(frame);
      if (fate !== undefined) return fate;
    }
    return "deliver";
  }

  isPaused(): boolean {
    return this.#isPaused;
  }

  isBlackHole(): boolean {
    return this.#isBlackHole;
  }

  #connectShared(url: string): SocketLike {
    return new FakeSharedSocket((shared, token) => {
      const lane = new URL(url);
      if (token !== undefined) lane.searchParams.set("apikey", token);
      const socket = this.#connect(lane.href);
      this.#shared.set(socket, shared);
      return socket.client;
    }).client;
  }

  #connect(url: string): FakeSocket {
    const token = decodeToken(new URL(url).searchParams.get("apikey") ?? "");
    const socket = new FakeSocket(
      this,
      ++this.#opened,
      (frame) => this.#sockets.get(socket)?.receive(frame),
      () => {
        const session = this.#sockets.get(socket);
        this.#sockets.delete(socket);
        session?.end();
      },
    );
    this.#sockets.set(socket, token && new FakeSession(this, socket, token));
    if (this.#isUnreachable || (this.#blocksWebSockets && url.startsWith("ws"))) {
      socket.close(1006);
      return socket;
    }
    socket.open();
    const isGood = token !== undefined && token.expiresAt > this.platform.now() && !this.#refusesTokens;
    if (!isGood) this.platform.setTimeout(() => socket.close(4101, "token refused"), this.latencyMs);
    return socket;
  }

  // ---- for sessions

  now(): number {
    return this.platform.now();
  }

  setTimeout(run: () => void, ms: number): unknown {
    return this.platform.setTimeout(run, ms);
  }

  clearTimeout(handle: unknown): void {
    this.platform.clearTimeout(handle);
  }

  refuseJoin(who: FakeIdentity, channel: string, collections: readonly string[]): WireRefusal | undefined {
    const refusal = this.#joinRefusal ?? this.#rules.join?.(who, channel);
    if (refusal !== undefined) return refusal;
    const known = this.#rules.collections?.(channel) ?? collections;
    const unknown = collections.find((name) => !known.includes(name));
    if (unknown === undefined) return undefined;
    return { code: "unknown_collection", message: `${channel} has no collection ${unknown}`, retryable: false };
  }

  refuseMutation(): WireRefusal | undefined {
    return this.#refusals.shift();
  }

  faultOf(who: FakeIdentity, channel: string, mutation: FakeMutation): WireError | undefined {
    return this.#rules.write?.(who, channel, mutation) ?? this.#rejections.shift();
  }
}
