/** Handlers take messages one at a time, in log order, however long each takes. */
import type { Report } from "./store";
import type { Incoming, Json, Message, MessageHandler, ResyncReason, Unsubscribe } from "./types";

/** Messages that may wait for one handler. Beyond, it has lost track and is told to load again. */
const MAX_WAITING = 10_000;

/** The handlers of one channel. */
export class HandlerQueue {
  readonly #lanes = new Set<Lane>();
  readonly #report: Report;

  constructor(report: Report) {
    this.#report = report;
  }

  /** Messages that were dispatched from here on reach the handler, until it is taken out. */
  use<P = Json>(handler: MessageHandler<P>): Unsubscribe {
    // A lane gives a handler only what its own `parse` returned, or the JSON that it takes without one.
    const lane = new Lane(handler as MessageHandler<unknown>, this.#report);
    this.#lanes.add(lane);
    return () => {
      this.#lanes.delete(lane);
      lane.stop();
    };
  }

  /** `isEcho`: an own message, on a channel that nobody claimed with `self`. Only a handler that waits for it gets it. */
  dispatch(message: Message, isEcho = false): void {
    for (const lane of this.#lanes) if (lane.takes(message, isEcho)) lane.push({ message });
  }

  /** Messages were missed. Each handler hears of it in its turn: after what came before, before what comes after. */
  resync(reason: ResyncReason): void {
    for (const lane of this.#lanes) lane.push({ resync: reason });
  }
}

/** One handler and what waits for it. */
class Lane {
  readonly #handler: MessageHandler<unknown>;
  readonly #report: Report;
  #waiting: Incoming[] = [];
  #isRunning = false;
  #isStopped = false;

  constructor(handler: MessageHandler<unknown>, report: Report) {
    this.#handler = handler;
    this.#report = report;
  }

  takes(message: Message, isEcho: boolean): boolean {
    const { event } = this.#handler;
    const isWanted = typeof event === "string" ? event === message.event || event === "*" : event.includes(message.event);
    return isWanted && (!isEcho || this.#handler.expects?.(message.id) === true);
  }

  push(item: Incoming): void {
    if (this.#waiting.length >= MAX_WAITING) this.#waiting = [{ resync: "truncated" }];
    this.#waiting.push(item);
    if (!this.#isRunning) void this.#run();
  }

  stop(): void {
    this.#isStopped = true;
    this.#waiting = [];
  }

  /** Handles what waits. A handler that is not async has handled a message when `push` returns. */
  async #run(): Promise<void> {
    this.#isRunning = true;
    for (let item = this.#waiting.shift(); item && !this.#isStopped; item = this.#waiting.shift()) {
      const pending = this.#handle(item);
      if (pending) await pending;
    }
    this.#isRunning = false;
  }

  /** What it returns never rejects. */
  #handle(item: Incoming): Promise<void> | undefined {
    const failed = (error: unknown) => this.#failed(error, item);
    try {
      const result = this.#call(item);
      // An async `onResync` fits its type as well.
      if (result instanceof Promise) return result.catch(failed);
    } catch (error) {
      failed(error);
    }
    return undefined;
  }

  #call(item: Incoming): unknown {
    const handler = this.#handler;
    if (handler.admit?.(item) === false) return undefined;
    if ("resync" in item) return handler.onResync?.(item.resync);
    const { message } = item;
    const payload: unknown = handler.parse ? handler.parse(message.payload) : message.payload;
    return handler.handleMessage(Object.freeze({ ...message, payload }));
  }

  #failed(error: unknown, item: Incoming): void {
    if (!("message" in item) || !this.#handler.onError) {
      this.#report(error);
      return;
    }
    try {
      this.#handler.onError(error, item.message);
    } catch (second) {
      this.#report(second);
    }
  }
}
