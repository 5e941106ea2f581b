import { Recent } from "./recent";
import type { Incoming, Json, Message, MessageHandler, ResyncReason } from "./types";

/** Messages that a handler remembers as handled: more than a server sends again after a reconnect or a replay. */
const SEEN_KEPT = 1_000;

/**
 * A handler that takes each message once, and that may show its own messages before they are in the log.
 *
 * An optimistic update is applied at once and undone when its message comes back, just before that message is handled like anybody's:
 * so what it leaves behind is in log order, as it is for everybody else.
 *
 * @example
 * ```ts
 * class Votes extends BaseMessageHandler<{ option: string }> {
 *   readonly event = "vote";
 *   readonly counts = new Map<string, number>();
 *
 *   handleMessage({ payload }: Message<{ option: string }>): void {
 *     this.add(payload.option, 1);
 *   }
 *
 *   vote(channel: Channel, option: string): void {
 *     const { id } = messageFactory.create(this.event, { option }, { channel: channel.name });
 *     this.applyOptimistic(id, () => this.add(option, 1), () => this.add(option, -1));
 *     channel.publish(this.event, { option }, { id }).catch(() => this.rejectOptimistic(id));
 *   }
 *
 *   private add(option: string, by: number): void {
 *     this.counts.set(option, (this.counts.get(option) ?? 0) + by);
 *   }
 * }
 * ```
 */
export abstract class BaseMessageHandler<P = Json> implements MessageHandler<P> {
  abstract readonly event: string | readonly string[];
  abstract handleMessage(message: Message<P>): void | Promise<void>;
  /** Checks what came and gives it its type; what it throws goes to `onError`, and the message is passed over. */
  parse?(payload: unknown): P;
  /** Without it errors go to `platform.reportError`. */
  onError?(error: unknown, message: Message): void;
  /** Messages were missed: load again what was derived from them. Optimistic updates have been undone. May be async. */
  onResync?(reason: ResyncReason): void;

  readonly #seen = new Recent(SEEN_KEPT);
  readonly #awaited = new Recent(SEEN_KEPT);
  /** Rollbacks of updates whose message has not come back, by its id, oldest first. */
  readonly #rollbacks = new Map<string, () => void>();

  /** Updates whose message has neither come back nor been rejected. */
  get pendingOptimistic(): number {
    return this.#rollbacks.size;
  }

  /**
   * Applies now what the message `id` will do once it is in the log. `rollback` undoes what `apply` did and no more, because others'
   * messages may have been handled since. A second call with a pending id does nothing.
   */
  applyOptimistic(id: string, apply: () => void, rollback: () => void): void {
    if (this.#rollbacks.has(id)) return;
    apply();
    this.#rollbacks.set(id, rollback);
    this.#awaited.add(id);
  }

  /** The message was refused, or will not be sent: undoes its update. Does nothing when there is none. */
  rejectOptimistic(id: string): void {
    const rollback = this.#rollbacks.get(id);
    this.#rollbacks.delete(id);
    rollback?.();
  }

  /** For the channel. */
  expects(id: string): boolean {
    return this.#awaited.has(id);
  }

  /** For the channel. */
  admit(incoming: Incoming): boolean {
    if ("resync" in incoming) {
      for (const id of [...this.#rollbacks.keys()].reverse()) this.rejectOptimistic(id);
      return true;
    }
    const { channel, id } = incoming.message;
    if (!this.#seen.add(`${channel}\0${id}`)) return false;
    this.rejectOptimistic(id);
    return true;
  }
}
