import type { SocketLike } from "../types";

/** Opens what stands for a lane; without a token the first, which has the handshake's. */
type OpenLane = (shared: FakeSharedSocket, token?: string) => SocketLike;

/** Close codes that speak of one session. All others end the socket, as a network that breaks does. */
const isPersonal = (code: number) => (code >= 4100 && code < 4200) || code === 4201 || code === 4290;

/** A socket that several sessions share, of which each has a socket of the fake server's (W1 to W5). */
export class FakeSharedSocket {
  readonly #openLane: OpenLane;
  readonly #lanes = new Map<number, SocketLike>();
  #isOver = false;

  /** The client's end. */
  readonly client: SocketLike = {
    send: (data) => this.#take(data),
    close: (code = 1005, reason = "") => this.#end(code, reason),
    onopen: null,
    onmessage: null,
    onclose: null,
  };

  constructor(openLane: OpenLane) {
    this.#openLane = openLane;
    this.#begin(1).onopen = () => this.client.onopen?.();
  }

  #take(data: string): void {
    const [head = "", number, verb] = /^(\d+)([+-]?)/.exec(data) ?? [];
    const rest = data.slice(head.length);
    const lane = this.#lanes.get(Number(number));
    if (this.#isOver) return;
    if (verb === "+") this.#begin(Number(number), rest);
    else if (verb === "") lane?.send(rest);
    else if (lane) this.#forget(Number(number), lane, () => lane.close(1000));
  }

  #begin(number: number, token?: string): SocketLike {
    const lane = this.#openLane(this, token);
    this.#lanes.set(number, lane);
    lane.onmessage = (frame) => this.client.onmessage?.(`${number}${frame}`);
    lane.onclose = (code, reason) => {
      if (!isPersonal(code)) return this.#end(code, reason);
      this.client.onmessage?.(`${number}-${code} ${reason}`);
      this.#forget(number, lane);
    };
    return lane;
  }

  #forget(number: number, lane: SocketLike, close = () => {}): void {
    this.#lanes.delete(number);
    lane.onopen = lane.onmessage = lane.onclose = null;
    close();
    if (this.#lanes.size === 0) this.#end(1000, "no lane is left");
  }

  #end(code: number, reason: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    for (const lane of this.#lanes.values()) {
      lane.onopen = lane.onmessage = lane.onclose = null;
      lane.close(code);
    }
    this.client.onclose?.(code, reason);
  }
}
