import type { SocketLike } from "../types";
import type { SeatEvent } from "./seat";

/** A socket whose other end is found out while it is there. */
export class TabSocket implements SocketLike {
  onopen: SocketLike["onopen"] = null;
  onmessage: SocketLike["onmessage"] = null;
  onclose: SocketLike["onclose"] = null;
  readonly #take: (event: SeatEvent) => void;
  #via: () => string | undefined = () => undefined;
  #send: ((frame: string) => void) | undefined;
  #end: ((leaving?: string) => void) | undefined;

  constructor(seat: (socket: TabSocket) => (event: SeatEvent) => void) {
    this.#take = seat(this);
  }

  get via(): string | undefined {
    return this.#via();
  }

  send(data: string): void {
    this.#send?.(data);
  }

  close(code = 1000, reason = ""): void {
    this.#take({ type: "left", reason });
    this.onclose?.(code, reason);
  }

  /** What carries its frames from now on, and how that ends. */
  carry(via: () => string | undefined, send: (frame: string) => void, end: (leaving?: string) => void): void {
    this.#via = via;
    this.#send = send;
    this.#end = end;
  }

  /** Lets go of what carries it, which is told why if it has to be told. */
  end(leaving?: string): void {
    const end = this.#end;
    this.#send = this.#end = undefined;
    end?.(leaving);
  }
}
