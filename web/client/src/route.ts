/** Which way a connection goes: over a WebSocket, or around networks that block WebSockets. Decided by what was seen to work. */
import type { Fallback, FallbackHost, Moving, Platform, SocketLike, Transport } from "./types";

/** WebSockets that failed while HTTP worked, before the fallback is taken. */
const BLOCKED_TWICE = 2;
/** How often a WebSocket is tried beside the fallback, and how long it has. */
const TRIAL_EVERY_MS = 60_000;
const TRIAL_MS = 10_000;
/** How long moving waits for answers that are under way, and how often it looks. */
const QUIET_MS = 5_000;
const QUIET_EVERY_MS = 100;
const HEARTBEAT = '[null,"0","phoenix","heartbeat",{}]';

export interface Way {
  readonly transport: Transport;
  /** WebSockets in a row that failed while HTTP worked. */
  readonly blocked: number;
}

export type WayEvent =
  | "answered" // the server was heard over the present way
  | "blocked" // a WebSocket failed, and HTTP works
  | "failed" // the fallback failed as well
  | "opened"; // a WebSocket was tried beside the fallback, and the server was heard over it

export const STRAIGHT: Way = { transport: "websocket", blocked: 0 };

/** Pure. A fallback that works is kept until a WebSocket does: the way back is looked for while nobody has to wait for it. */
export function nextWay(way: Way, event: WayEvent): Way {
  switch (event) {
    case "answered":
      return { transport: way.transport, blocked: 0 };
    case "blocked":
      if (way.transport === "sse") return way;
      return way.blocked + 1 < BLOCKED_TWICE ? { ...way, blocked: way.blocked + 1 } : { transport: "sse", blocked: 0 };
    case "failed":
    case "opened":
      return STRAIGHT;
    default:
      return event satisfies never;
  }
}

/** Plain HTTP. Its addresses are absolute. */
export interface Http {
  /** Whether a GET is answered, so that it is the WebSocket that fails and not the server. Never rejects. */
  isReachable(url: string): Promise<boolean>;
  /** Opens a socket of events and POSTs. */
  openSocket(url: string): SocketLike;
}

export class Route implements Fallback {
  readonly #platform: Pick<Platform, "setTimeout" | "clearTimeout">;
  readonly #host: FallbackHost;
  readonly #http: Http;
  #way = STRAIGHT;
  /** A question whether HTTP works is answered too late when another attempt has told more since. */
  #question = 0;
  #moving: Moving | undefined;
  #timer: unknown;
  /** Gives up the WebSocket that is being tried, or has been found. */
  #giveUp: (() => void) | undefined;

  constructor(platform: Pick<Platform, "setTimeout" | "clearTimeout">, host: FallbackHost, http: Http) {
    this.#platform = platform;
    this.#host = host;
    this.#http = http;
  }

  get transport(): Transport {
    return this.#way.transport;
  }

  openSocket(token: string): SocketLike {
    return this.#http.openSocket(`${this.#host.url}/socket/sse?vsn=2.0.0&chorale=1&apikey=${encodeURIComponent(token)}`);
  }

  answered(): void {
    this.#question++;
    this.#way = nextWay(this.#way, "answered");
  }

  failed(): void {
    if (this.#way.transport === "sse") this.#way = nextWay(this.#way, "failed");
    else void this.#askWhetherBlocked();
  }

  async #askWhetherBlocked(): Promise<void> {
    const question = ++this.#question;
    const isReachable = await this.#http.isReachable(`${this.#host.url}/api/ping`);
    if (isReachable && question === this.#question) this.#way = nextWay(this.#way, "blocked");
  }

  watch(moving: Moving): void {
    this.rest();
    this.#moving = moving;
    this.#schedule();
  }

  look(): void {
    if (this.#moving && !this.#giveUp) void this.#try(this.#moving);
  }

  rest(): void {
    this.#moving = undefined;
    this.#platform.clearTimeout(this.#timer);
    this.#giveUp?.();
  }

  #schedule(): void {
    this.#platform.clearTimeout(this.#timer);
    this.#timer = this.#platform.setTimeout(() => this.look(), TRIAL_EVERY_MS);
  }

  async #try(moving: Moving): Promise<void> {
    this.#schedule();
    let socket: SocketLike;
    try {
      const token = await moving.token();
      if (moving !== this.#moving || this.#giveUp) return;
      socket = this.#host.openWebSocket(token);
    } catch {
      return; // the next trial is scheduled
    }
    let timer = this.#platform.setTimeout(() => this.#giveUp?.(), TRIAL_MS);
    const settle = () => {
      this.#platform.clearTimeout(timer);
      this.#giveUp = undefined;
      socket.onopen = socket.onmessage = socket.onclose = null;
    };
    this.#giveUp = () => {
      settle();
      socket.close(1000, "not needed");
    };
    const moveWhenQuiet = (patienceMs: number) => {
      if (patienceMs > 0 && !moving.isQuiet()) {
        timer = this.#platform.setTimeout(() => moveWhenQuiet(patienceMs - QUIET_EVERY_MS), QUIET_EVERY_MS);
        return;
      }
      settle();
      this.rest();
      this.#way = nextWay(this.#way, "opened");
      moving.move(socket);
    };
    socket.onclose = settle;
    // Whatever lets the handshake through may still swallow frames.
    socket.onopen = () => socket.send(HEARTBEAT);
    socket.onmessage = () => {
      this.#platform.clearTimeout(timer);
      socket.onmessage = null;
      moveWhenQuiet(QUIET_MS);
    };
  }
}
