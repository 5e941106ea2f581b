/** The driver of the connection machine: it owns the socket, the timers and the token, and decides nothing. */
import { type ConnectionEvent, type ConnectionState, type Effect, FRESH, next, statusOf } from "./connection-state";
import { ChoraleError } from "./errors";
import { createIntake } from "./intake";
import { decodeFrame, decodeReply, encodeFrame, type Frame, type Reply } from "./protocol";
import { Listeners, ValueStore } from "./store";
import { isFinal, type TokenSource } from "./token";
import type { ConnectionSnapshot, Fallback, Platform, SocketLike, Timers, Transport, Unsubscribe } from "./types";

const HEARTBEAT_MS = 15_000;
/** How long the server may be silent after a heartbeat. */
const ANSWER_MS = 10_000;
/** The same when there is a reason to doubt it: a hint, or somebody who pressed the button. */
const PROBE_MS = 2_500;
const OPEN_MS = 10_000;
const STABLE_MS = 10_000;
/** How long a refresh of the token that failed waits for the next try. */
const TOKEN_RETRY_MS = 5_000;
/** Between two refreshes at least. */
const TOKEN_LEAST_MS = 1_000;

/** After hiding: a tab that is passed over was left again by then, and timers still come once a second. */
const HAND_OVER_MS = 5_000;

type TimerName = "retry" | "beat" | "answer" | "open" | "stable" | "blip" | "token" | "hidden";

/** What keeps a connection that is open, and has to in a hidden tab too. The way back to one may take longer there. */
const isSteady = (name: TimerName) => name === "beat" || name === "answer" || name === "token";

export interface ConnectionOptions {
  readonly url: string;
  readonly platform: Platform;
  readonly tokens: TokenSource;
  readonly blipMs: number;
}

export class Connection {
  readonly #options: ConnectionOptions;
  readonly #platform: Platform;
  readonly #endpoint: string;
  #state: ConnectionState = { name: "idle", trail: FRESH };
  /** What happened while an event was being handled. One is handled at a time, whatever listeners do. */
  readonly #inbox: ConnectionEvent[] = [];
  #isHandling = false;
  #needs = 0;

  /** Late events of a socket or a token that is not the current one any more are ignored by this number. */
  #generation = 0;
  #token = "";
  #socket: SocketLike | undefined;
  #transport: Transport = "websocket";
  /** Loaded when a WebSocket has failed. */
  #fallback: Promise<Fallback> | undefined;
  #route: Fallback | undefined;
  #ref = 0;
  readonly #replies = new Map<string, (reply: Reply) => void>();

  #beatSentAt: number | undefined;
  #answerDueAt = 0;
  #latencyMs: number | undefined;
  #unhint: Unsubscribe | undefined;
  readonly #timers = new Map<TimerName, unknown>();

  readonly #snapshot: ValueStore<ConnectionSnapshot>;
  readonly #frames: Listeners<[Frame]>;
  readonly #ups: Listeners<[]>;
  readonly #downs: Listeners<[]>;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#platform = options.platform;
    this.#endpoint = endpointOf(options.url);
    const report = options.platform.reportError;
    this.#snapshot = new ValueStore<ConnectionSnapshot>({ status: "idle", isConnected: false, attempt: 0 }, report);
    this.#frames = new Listeners(report);
    this.#ups = new Listeners(report);
    this.#downs = new Listeners(report);
  }

  get snapshot(): ValueStore<ConnectionSnapshot> {
    return this.#snapshot;
  }

  get socket(): SocketLike | undefined {
    return this.#socket;
  }

  get isOpen(): boolean {
    return this.#state.name === "open" && this.#socket !== undefined;
  }

  get isClosed(): boolean {
    return this.#state.name === "closed";
  }

  onFrame(listener: (frame: Frame) => void): Unsubscribe {
    return this.#frames.add(listener);
  }

  onUp(listener: () => void): Unsubscribe {
    return this.#ups.add(listener);
  }

  onDown(listener: () => void): Unsubscribe {
    return this.#downs.add(listener);
  }

  /** Keeps the connection wanted until called back. */
  need(): Unsubscribe {
    this.#needs++;
    if (this.#needs === 1) this.#dispatch({ type: "needed" });
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#needs--;
      if (this.#needs === 0) this.#dispatch({ type: "unneeded" });
    };
  }

  reconnect(): void {
    this.#dispatch({ type: "reconnect" });
  }

  close(): void {
    this.#dispatch({ type: "close" });
  }

  /** The source has a new token, which is to be replaced at another time. */
  tokenRenewed(): void {
    if (this.isOpen) this.#scheduleToken();
  }

  /** A token could not be had, for whatever it was wanted. */
  tokenFailed(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    this.#dispatch({ type: "tokenFailed", message, final: isFinal(error) });
  }

  /** Sends a push and returns its ref, or undefined while there is no connection. `onReply` is forgotten when the connection ends. */
  push(
    topic: string,
    event: string,
    payloadJson: string,
    joinRef: string | null,
    onReply?: (reply: Reply) => void,
  ): string | undefined {
    if (!this.isOpen) return undefined;
    return this.#send(topic, event, payloadJson, joinRef, onReply);
  }

  /** A ref that the next join may use for itself. */
  nextRef(): string {
    return String(++this.#ref);
  }

  /** Sends a join, whose join_ref is its own ref. */
  pushJoin(ref: string, topic: string, payloadJson: string, onReply: (reply: Reply) => void): boolean {
    if (!this.isOpen || !this.#socket) return false;
    this.#replies.set(ref, onReply);
    this.#socket.send(encodeFrame(ref, ref, topic, "phx_join", payloadJson));
    return true;
  }

  #send(topic: string, event: string, payloadJson: string, joinRef: string | null, onReply?: (reply: Reply) => void): string {
    const ref = this.nextRef();
    if (onReply) this.#replies.set(ref, onReply);
    this.#socket?.send(encodeFrame(joinRef, ref, topic, event, payloadJson));
    return ref;
  }

  #dispatch(event: ConnectionEvent): void {
    this.#inbox.push(event);
    if (this.#isHandling) return;
    this.#isHandling = true;
    try {
      for (let due = this.#inbox.shift(); due; due = this.#inbox.shift()) this.#handle(due);
    } finally {
      this.#isHandling = false;
    }
  }

  #handle(event: ConnectionEvent): void {
    const before = this.#state;
    const { state, effects } = next(before, event, {
      now: this.#platform.now(),
      roll: this.#platform.random(),
      isHidden: !this.#platform.isVisible(),
    });
    this.#state = state;
    if (state.name !== before.name) this.#crossed(before, state);
    for (const effect of effects) this.#run(effect);
    this.#publish();
    if (state.name === "open" && before.name !== "open") this.#ups.tell();
  }

  /** What every change of state entails, whatever caused it. */
  #crossed(from: ConnectionState, to: ConnectionState): void {
    if (from.name === "idle") this.#unhint ??= this.#platform.onHint((hint) => this.#hinted(hint));
    if (to.name === "open") {
      this.#stop("open");
      this.#stop("blip");
      this.#start("stable", STABLE_MS, () => this.#dispatch({ type: "stable" }));
      this.#scheduleBeat();
      this.#scheduleToken();
      if (this.#transport === "sse")
        this.#route?.watch({
          token: () => this.#options.tokens.get(),
          isQuiet: () => this.#replies.size === 0,
          move: (socket) => this.#move(socket),
        });
    }
    if (from.name === "open") {
      this.#route?.rest();
      this.#generation++;
      for (const timer of ["stable", "beat", "answer", "token"] as const) this.#stop(timer);
      this.#replies.clear();
      this.#latencyMs = undefined;
      this.#start("blip", this.#options.blipMs, () => this.#publish());
      this.#downs.tell();
    }
    if (to.name === "idle" || to.name === "closed") {
      this.#unhint?.();
      this.#unhint = undefined;
      for (const timer of [...this.#timers.keys()]) this.#stop(timer);
    }
  }

  #run(effect: Effect): void {
    switch (effect.do) {
      case "fetchToken":
        void this.#fetchToken(effect.fresh);
        return;
      case "openSocket":
        this.#openSocket();
        return;
      case "dropSocket":
        this.#dropSocket(1000, "");
        return;
      case "wait":
        this.#start("retry", effect.ms, () => this.#dispatch({ type: "due" }));
        return;
      case "stopWaiting":
        this.#stop("retry");
        return;
      case "probe":
        this.#beat(PROBE_MS);
        return;
      default:
        effect satisfies never;
    }
  }

  async #fetchToken(fresh: boolean): Promise<void> {
    const generation = ++this.#generation;
    try {
      const token = await (fresh ? this.#options.tokens.fresh(true) : this.#options.tokens.get());
      if (generation !== this.#generation) return;
      this.#token = token;
      this.#dispatch({ type: "token" });
    } catch (error) {
      if (generation !== this.#generation) return;
      this.tokenFailed(error);
    }
  }

  #openSocket(): void {
    const transport = this.#route?.transport ?? "websocket";
    let socket: SocketLike;
    try {
      socket = (transport === "sse" && this.#route?.openSocket(this.#token)) || this.#openWebSocket(this.#token);
    } catch (error) {
      this.#dispatch({ type: "lost", code: 4000, reason: error instanceof Error ? error.message : String(error) });
      return;
    }
    this.#start("open", OPEN_MS, () => this.#lose("the server did not answer"));
    this.#attach(socket, transport);
  }

  #openWebSocket(token: string): SocketLike {
    return this.#platform.openSocket(`${this.#endpoint}&apikey=${encodeURIComponent(token)}`);
  }

  #attach(socket: SocketLike, transport: Transport): void {
    const generation = ++this.#generation;
    const current = () => generation === this.#generation;
    const intake = createIntake(this.#platform, (data) => {
      if (current()) this.#heard(data);
    });
    this.#socket = socket;
    this.#transport = transport;
    // Open counts from the server's first frame on: a refusal comes as a close right behind the upgrade (C1).
    socket.onopen = () => {
      if (current()) this.#beat();
    };
    socket.onmessage = (data) => {
      if (current()) intake.take(data);
    };
    socket.onclose = (code, reason) => {
      if (current()) intake.flush(); // it was said before the end
      if (!current()) return;
      this.#forgetSocket();
      this.#lost(code, reason);
    };
  }

  #heard(data: string): void {
    this.#stop("answer");
    if (this.#state.name === "opening") {
      this.#route?.answered();
      this.#dispatch({ type: "opened" });
    }
    let frame: Frame;
    try {
      frame = decodeFrame(data);
      if (frame.event === "phx_reply" && frame.ref !== null) {
        if (frame.topic === "phoenix") this.#pong();
        const onReply = this.#replies.get(frame.ref);
        this.#replies.delete(frame.ref);
        onReply?.(decodeReply(frame.payload));
        return;
      }
    } catch (error) {
      this.#platform.reportError(error);
      return;
    }
    this.#frames.tell(frame);
  }

  #forgetSocket(): void {
    this.#generation++;
    this.#socket = undefined;
    this.#stop("open");
  }

  #dropSocket(code: number, reason: string): void {
    const socket = this.#socket;
    this.#forgetSocket();
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close(code, reason);
  }

  /** Gives a socket up that does not answer: closing it properly could take minutes. */
  #lose(why: string): void {
    this.#dropSocket(1000, "silent");
    this.#lost(1006, why);
  }

  #lost(code: number, reason: string): void {
    // With any other code the server has spoken.
    if (code === 1006 && this.#state.name === "opening") void this.#failed();
    this.#dispatch({ type: "lost", code, reason });
  }

  // ---- to the fallback, and back to a WebSocket

  async #failed(): Promise<void> {
    try {
      this.#fallback ??= this.#platform.loadFallback?.({
        url: baseOf(this.#options.url),
        openWebSocket: (token) => this.#openWebSocket(token),
      });
      this.#route ??= await this.#fallback;
      if (!this.isOpen) this.#route?.failed();
    } catch {
      this.#fallback = undefined; // its code cannot be had over HTTP either
    }
  }

  /** For channels this is a connection that ended and another that began: they resume. For a person nothing has happened. */
  #move(better: SocketLike): void {
    this.#stop("answer");
    this.#beatSentAt = this.#latencyMs = undefined;
    this.#dropSocket(1000, "moved");
    this.#replies.clear();
    this.#downs.tell();
    if (this.#state.name !== "open") {
      better.close(1000, "not needed"); // a listener has ended it all
      return;
    }
    this.#attach(better, "websocket");
    this.#scheduleToken();
    this.#publish();
    this.#ups.tell();
  }

  // ---- heartbeat

  #scheduleBeat(): void {
    this.#start("beat", HEARTBEAT_MS, () => {
      this.#beat();
      this.#scheduleBeat();
    });
  }

  #beat(answerMs = ANSWER_MS): void {
    const now = this.#platform.now();
    this.#beatSentAt = now;
    this.#send("phoenix", "heartbeat", "{}", null);
    if (this.#state.name !== "open") return;
    // Whatever is heard stops this timer. Another beat may bring it forward, and never puts it off.
    if (this.#timers.has("answer") && this.#answerDueAt <= now + answerMs) return;
    this.#answerDueAt = now + answerMs;
    this.#start("answer", answerMs, () => this.#lose(`the server has been silent for ${answerMs / 1_000} s`));
  }

  #pong(): void {
    if (this.#beatSentAt === undefined) return;
    this.#latencyMs = this.#platform.now() - this.#beatSentAt;
    this.#beatSentAt = undefined;
    this.#publish();
  }

  #hinted(hint: "online" | "offline" | "visible" | "hidden" | "woken"): void {
    if (hint === "hidden") {
      this.#start("hidden", HAND_OVER_MS, () => this.#handOver());
      return;
    }
    // "offline" is no truth either, but reason enough to ask the socket.
    if (hint === "offline" && this.#state.name !== "open") {
      this.#publish();
      return;
    }
    if (hint !== "offline") this.#route?.look();
    this.#dispatch({ type: "hint" });
  }

  /** What was set while the page was looked at is set anew, so that it is on time in a hidden one as well. */
  #handOver(): void {
    if (!this.isOpen || this.#platform.isVisible()) return;
    this.#scheduleBeat();
    this.#scheduleToken();
  }

  // ---- token

  #scheduleToken(inMs?: number): void {
    const at = this.#options.tokens.refreshAt;
    if (inMs === undefined && at === undefined) return;
    // Not ever faster for somebody who is handed the same token again.
    const ms = inMs ?? Math.max(TOKEN_LEAST_MS, (at ?? 0) - this.#platform.now());
    // Timers hold 31 bits; a token that is good for longer is looked at again.
    this.#start("token", Math.min(ms, 2 ** 30), () => void this.#refreshToken());
  }

  async #refreshToken(): Promise<void> {
    const generation = this.#generation;
    const current = () => generation === this.#generation && this.isOpen;
    const due = this.#options.tokens.refreshAt;
    if (due !== undefined && due > this.#platform.now()) return this.#scheduleToken();
    try {
      await this.#options.tokens.fresh(false);
      if (current()) this.#scheduleToken();
    } catch (error) {
      if (!current()) return;
      if (isFinal(error) && this.#options.tokens.isExpired) return this.tokenFailed(error);
      this.#platform.reportError(error);
      this.#scheduleToken(TOKEN_RETRY_MS);
    }
  }

  // ---- timers and what is shown

  #start(name: TimerName, ms: number, fn: () => void): void {
    this.#stop(name);
    const handle = this.#timersOf(name).setTimeout(() => {
      this.#timers.delete(name);
      fn();
    }, ms);
    this.#timers.set(name, handle);
  }

  #stop(name: TimerName): void {
    const handle = this.#timers.get(name);
    if (handle === undefined) return;
    this.#timers.delete(name);
    this.#timersOf(name).clearTimeout(handle);
  }

  #timersOf(name: TimerName): Timers {
    return isSteady(name) ? this.#platform.steady : this.#platform;
  }

  #publish(): void {
    const state = this.#state;
    const status = statusOf(state, this.#platform.isOnline());
    const isBlip = this.#timers.has("blip");
    const snapshot: ConnectionSnapshot = {
      status,
      isConnected: status === "connected" || (isBlip && (status === "reconnecting" || status === "offline")),
      attempt: state.name === "closed" ? 0 : state.trail.attempt,
      ...(state.name === "waiting" && { retryAt: state.until }),
      ...(state.name === "open" && { transport: this.#transport }),
      ...(this.#latencyMs !== undefined && { latencyMs: this.#latencyMs }),
      ...("reason" in state && {
        error: new ChoraleError(state.reason.code, state.reason.message, { retryable: state.name === "waiting" }),
      }),
    };
    if (textOf(snapshot) !== textOf(this.#snapshot.getSnapshot())) this.#snapshot.set(Object.freeze(snapshot));
  }
}

/** All that a snapshot says: errors are made anew each time. */
function textOf({ error, ...rest }: ConnectionSnapshot): string {
  return JSON.stringify([rest, error?.code, error?.message]);
}

/** The WebSocket address of a server: `http://h/x` becomes `ws://h/x/socket/websocket?…`. */
export function endpointOf(url: string): string {
  return `${baseOf(url).replace(/^http/, "ws")}/socket/websocket?vsn=2.0.0&chorale=1`;
}

/** Where a server speaks HTTP: `ws://h/x/socket/` becomes `http://h/x`. */
function baseOf(url: string): string {
  return url
    .replace(/^ws/, "http")
    .replace(/\/+$/, "")
    .replace(/\/socket(\/websocket)?$/, "");
}
