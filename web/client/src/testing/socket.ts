import { decodeFrame, type Frame } from "../protocol";
import type { SocketLike } from "../types";
import type { FakePlatform } from "./platform";

/** A frame on its way. */
export interface FakeFrame extends Frame {
  /** `up` is from client to server. */
  readonly direction: "up" | "down";
  /** Counts sockets, from 1. */
  readonly socket: number;
  /** The frame as it is sent. */
  readonly text: string;
}

/**
 * What becomes of a frame. A delayed frame is late alone, and may be overtaken: no socket does that, but whoever reads from one must
 * not depend on more than the protocol promises.
 */
export type Fate = "deliver" | "drop" | "twice" | { readonly delayMs: number };

/** What all sockets of a server have in common. */
export interface Network {
  readonly platform: FakePlatform;
  /** ms that a frame travels. */
  readonly latencyMs: number;
  fateOf(frame: FakeFrame): Fate;
  isPaused(): boolean;
  isBlackHole(): boolean;
}

/** Both ends of a socket: the client's as a SocketLike, the server's as methods. */
export class FakeSocket {
  readonly #network: Network;
  readonly #number: number;
  readonly #onFrame: (frame: FakeFrame) => void;
  readonly #onClosed: () => void;
  /** What waits because the network is paused. */
  #held: (() => void)[] = [];
  #isOpen = true;

  /** The client's end. */
  readonly client: SocketLike = {
    send: (data) => {
      if (this.#isOpen) this.#travel("up", data, this.#onFrame);
    },
    close: (code = 1005, reason = "") => this.#end(code, reason),
    onopen: null,
    onmessage: null,
    onclose: null,
  };

  constructor(network: Network, number: number, onFrame: (frame: FakeFrame) => void, onClosed: () => void) {
    this.#network = network;
    this.#number = number;
    this.#onFrame = onFrame;
    this.#onClosed = onClosed;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** The handshake is done. */
  open(): void {
    this.#later(0, () => {
      if (this.#isOpen) this.client.onopen?.();
    });
  }

  /** Server to client. */
  send(text: string): void {
    if (this.#isOpen) this.#travel("down", text, () => this.client.onmessage?.(text));
  }

  /** The server, or the network, ends the connection. */
  close(code: number, reason = ""): void {
    this.#end(code, reason);
  }

  /** Lets go what waited, now: what is on its way still must not come before it. */
  resume(): void {
    const held = this.#held;
    this.#held = [];
    for (const arrive of held) arrive();
  }

  #end(code: number, reason: string): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#held = [];
    this.#onClosed();
    this.#later(0, () => this.client.onclose?.(code, reason));
  }

  #travel(direction: FakeFrame["direction"], text: string, deliver: (frame: FakeFrame) => void): void {
    const frame: FakeFrame = { ...decodeFrame(text), direction, socket: this.#number, text };
    const fate = this.#network.fateOf(frame);
    if (fate === "drop") return;
    const arrive = () => {
      if (!this.#isOpen || this.#network.isBlackHole()) return;
      if (this.#network.isPaused()) this.#held.push(arrive);
      else deliver(frame);
    };
    this.#later(typeof fate === "object" ? fate.delayMs : 0, arrive);
    if (fate === "twice") this.#later(0, arrive);
  }

  #later(ms: number, run: () => void): void {
    this.#network.platform.setTimeout(run, this.#network.latencyMs + ms);
  }
}
