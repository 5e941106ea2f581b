import type { SocketLike } from "../types";
import { GOING_AWAY } from "./seat";
import { decodeLane, laneClose, laneFrame, laneOpen, MAX_LANES, partsOf, sharedUrl } from "./wire";

/** Once, the network may have come back between the two. */
const REFUSED_TWICE = 2;

/** The reason with which a connection closes a socket that does not answer it (connection.ts). */
const SILENT = "silent";
/** For how long nothing may have come, at least, when it does: as long as the shortest patience of a connection. */
const DEAD_MS = 2_000;

type OpenSocket = (url: string) => SocketLike;

/**
 * One socket for several connections, each of which has a lane of it. It is opened with the first lane and closed with the last.
 *
 * A server that is too old for it refuses the handshake. Until one has worked, a connection whose shared socket fails gets an ordinary
 * one at once, without noticing; when that has opened twice, nothing is shared any more.
 */
export class SharedSocket {
  readonly #open: OpenSocket;
  readonly #now: () => number;
  #socket: SocketLike | undefined;
  #isOpen = false;
  /** When something came last, the opening included. */
  #heardAt = 0;
  /** Whether a shared socket has ever opened, and how many have failed where an ordinary one did not. */
  #hasWorked = false;
  #refused = 0;
  #newest = 0;
  readonly #lanes = new Map<number, Lane>();

  constructor(open: OpenSocket, now: () => number) {
    this.#open = open;
    this.#now = now;
  }

  /** Whether there is room for another lane. */
  get hasRoom(): boolean {
    return this.#refused < REFUSED_TWICE && this.#lanes.size < MAX_LANES;
  }

  /** A lane, for who would open a socket with this address. Throws what the platform throws. */
  open(url: string): SocketLike {
    if (!this.hasRoom) return this.#open(url);
    const { server, token } = partsOf(url);
    if (!this.#socket) this.#connect(sharedUrl(server, token));
    const number = ++this.#newest;
    const lane = new Lane(
      url,
      token,
      (frame) => this.#socket?.send(laneFrame(number, frame)),
      (_, reason) => this.#drop(number, reason),
    );
    this.#lanes.set(number, lane);
    if (this.#isOpen) {
      this.#socket?.send(laneOpen(number, token));
      void Promise.resolve().then(() => lane.onopen?.()); // whoever asked for it has to listen first
    }
    return lane;
  }

  #connect(url: string): void {
    this.#newest = 0;
    this.#heardAt = this.#now();
    const socket = this.#open(url);
    this.#socket = socket;
    socket.onopen = () => this.#opened(socket);
    socket.onmessage = (data) => this.#hear(data);
    socket.onclose = (code, reason) => this.#closed(code, reason);
  }

  #opened(socket: SocketLike): void {
    this.#isOpen = this.#hasWorked = true;
    this.#heardAt = this.#now();
    for (const [number, { token }] of this.#lanes) if (number > 1) socket.send(laneOpen(number, token));
    if (!this.#lanes.has(1)) socket.send(laneClose(1)); // it did not wait
    for (const lane of [...this.#lanes.values()]) lane.onopen?.();
  }

  #hear(data: string): void {
    this.#heardAt = this.#now();
    const said = decodeLane(data);
    const lane = said && this.#lanes.get(said.lane);
    if (!lane) return; // it was closed here, and the server has not heard that yet
    if ("frame" in said) {
      lane.onmessage?.(said.frame);
      return;
    }
    this.#remove(said.lane);
    lane.onclose?.(said.code, said.reason);
  }

  #closed(code: number, reason: string): void {
    const lanes = [...this.#lanes];
    const wasOpen = this.#isOpen;
    this.#forget();
    if (!this.#hasWorked) {
      this.#replace(lanes.map(([, lane]) => lane));
      return;
    }
    for (const [number, lane] of lanes) {
      // What is said of a token, or of a place, is said of the one whose it was.
      if (number > 1 && (!wasOpen || isPersonal(code))) lane.onclose?.(GOING_AWAY, reason);
      else lane.onclose?.(code, reason);
    }
  }

  /** Gives each connection a socket of its own where a shared one has failed. */
  #replace(lanes: readonly Lane[]): void {
    let isCounted = false;
    for (const lane of lanes) {
      lane.replace(this.#open(lane.url), () => {
        if (!isCounted && !this.#hasWorked) this.#refused++;
        isCounted = true;
      });
    }
  }

  /**
   * Ends a lane from here. When its connection has given it up as silent, and the others have heard nothing either, it is the socket that
   * is dead: each of them would find that out for itself, and come back over the same one as long as another has not.
   */
  #drop(number: number, reason = ""): void {
    if (!this.#lanes.has(number)) return;
    this.#remove(number);
    if (reason === SILENT && this.#now() - this.#heardAt >= DEAD_MS) this.#giveUp();
    else if (this.#isOpen) this.#socket?.send(laneClose(number));
  }

  #giveUp(): void {
    const socket = this.#socket;
    const lanes = [...this.#lanes.values()];
    this.#forget();
    socket?.close(1000, SILENT);
    for (const lane of lanes) lane.onclose?.(GOING_AWAY, "the socket is silent");
  }

  /** Takes a lane away; the socket goes with the last. */
  #remove(number: number): void {
    const socket = this.#socket;
    if (!this.#lanes.delete(number) || this.#lanes.size > 0) return;
    this.#forget();
    socket?.close(1000, "");
  }

  #forget(): void {
    if (this.#socket) this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket = undefined;
    this.#isOpen = false;
    this.#lanes.clear();
  }
}

/** Whether a close code speaks of one token, or of one place among the connections (docs/protocol.md, section 9). */
const isPersonal = (code: number) => (code >= 4100 && code < 4200) || code === 4290;

/** To its connection a socket like any other. */
class Lane implements SocketLike {
  onopen: SocketLike["onopen"] = null;
  onmessage: SocketLike["onmessage"] = null;
  onclose: SocketLike["onclose"] = null;
  readonly url: string;
  readonly token: string;
  via: string | undefined = "shared by tabs, held by this one";
  send: SocketLike["send"];
  #drop: (code?: number, reason?: string) => void;

  constructor(url: string, token: string, send: SocketLike["send"], drop: (code?: number, reason?: string) => void) {
    this.url = url;
    this.token = token;
    this.send = send;
    this.#drop = drop;
  }

  close(code = 1000, reason = ""): void {
    this.#drop(code, reason);
    this.onclose?.(code, reason);
  }

  /** Goes on over a socket of its own. */
  replace(socket: SocketLike, opened: () => void): void {
    this.via = undefined;
    this.send = (data) => socket.send(data);
    this.#drop = (code, reason) => {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close(code, reason);
    };
    socket.onopen = () => {
      opened();
      this.onopen?.();
    };
    socket.onmessage = (data) => this.onmessage?.(data);
    socket.onclose = (code, reason) => this.onclose?.(code, reason);
  }
}
