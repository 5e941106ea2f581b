/** A client's sockets, listened to and held up: what goes over them, later than it would, or not at all. */
import type { ClientDebug, Fallback, Platform, SocketLike } from "../types";

export type Direction = "up" | "down";

export interface WireTap {
  /** Each frame once it passes. */
  frame(direction: Direction, data: string): void;
}

export class Wire {
  readonly #debug: ClientDebug;
  readonly #tap: WireTap;
  readonly #before: Pick<Platform, "openSocket" | "loadFallback" | "isOnline">;
  #isOffline = false;
  #latencyMs = 0;
  #isDetached = false;

  constructor(debug: ClientDebug, tap: WireTap) {
    this.#debug = debug;
    this.#tap = tap;
    const { platform } = debug;
    const { openSocket, loadFallback, isOnline } = platform;
    this.#before = { openSocket, loadFallback, isOnline };
    platform.openSocket = (url) => this.#wrap(() => openSocket.call(platform, url));
    platform.isOnline = () => !this.#isOffline && isOnline.call(platform);
    if (loadFallback) {
      platform.loadFallback = async (host) => {
        if (this.#isOffline) throw new Error("offline by the devtools");
        return this.#wrapFallback(await loadFallback.call(platform, host));
      };
    }
    const socket = debug.socket();
    if (socket) this.#join(socket);
  }

  get isOffline(): boolean {
    return this.#isOffline;
  }

  get latencyMs(): number {
    return this.#latencyMs;
  }

  /** As when the network goes: the connection breaks, and no other can be made. */
  setOffline(isOffline: boolean): void {
    this.#isOffline = isOffline;
    const socket = this.#debug.socket();
    if (!isOffline || !socket) return;
    const { onclose } = socket;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close(1000, "offline by the devtools");
    onclose?.(1006, "offline by the devtools");
  }

  /** How much later each frame comes, up and down alike. */
  setLatency(ms: number): void {
    this.#latencyMs = ms;
  }

  detach(): void {
    this.#isDetached = true;
    this.#isOffline = false;
    this.#latencyMs = 0;
    Object.assign(this.#debug.platform, this.#before);
  }

  #wrap(open: () => SocketLike): SocketLike {
    if (this.#isOffline) return this.#deadSocket();
    const inner = open();
    const outer: SocketLike = {
      send: this.#later("up", (data: string) => inner.send(data)),
      close: (code, reason) => inner.close(code, reason),
      onopen: null,
      onmessage: null,
      onclose: null,
      get via() {
        return inner.via;
      },
    };
    const down = this.#later("down", (data: string) => outer.onmessage?.(data));
    inner.onopen = () => outer.onopen?.();
    inner.onmessage = down;
    inner.onclose = (code, reason) => outer.onclose?.(code, reason);
    return outer;
  }

  /** Puts itself into a socket that is in use. */
  #join(socket: SocketLike): void {
    const { onmessage } = socket;
    const send = socket.send.bind(socket);
    const down = this.#later("down", (data) => onmessage?.(data));
    socket.send = this.#later("up", send);
    // The client takes its handlers away from a socket that it gives up; what is late must not reach them.
    socket.onmessage = down;
  }

  /** Passes frames on in their order, each after the latency that held when it came. */
  #later(direction: Direction, pass: (data: string) => void): (data: string) => void {
    const { platform } = this.#debug;
    let waiting = 0;
    let lastDue = 0;
    const hand = (data: string) => {
      if (!this.#isDetached) this.#tap.frame(direction, data);
      pass(data);
    };
    return (data) => {
      if (this.#latencyMs === 0 && waiting === 0) {
        hand(data);
        return;
      }
      lastDue = Math.max(lastDue, platform.now() + this.#latencyMs);
      waiting++;
      platform.setTimeout(() => {
        waiting--;
        hand(data);
      }, lastDue - platform.now());
    };
  }

  /** A socket as it is without a network: it ends before it was open. */
  #deadSocket(): SocketLike {
    const { platform } = this.#debug;
    const socket: SocketLike = { send: () => {}, close: () => {}, onopen: null, onmessage: null, onclose: null };
    platform.setTimeout(() => socket.onclose?.(1006, "offline by the devtools"), 0);
    return socket;
  }

  #wrapFallback(fallback: Fallback): Fallback {
    return {
      get transport() {
        return fallback.transport;
      },
      openSocket: (token) => this.#wrap(() => fallback.openSocket(token)),
      answered: () => fallback.answered(),
      failed: () => fallback.failed(),
      watch: (moving) => fallback.watch(moving),
      look: () => fallback.look(),
      rest: () => fallback.rest(),
    };
  }
}
