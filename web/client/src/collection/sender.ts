import { type FrozenEntry, type Outbox, WINDOW } from "./outbox";
import type { StoreHost } from "./seam";
import type { WireOutcome, WireRefusal } from "./wire";

/** How long a refusal that does not say is waited out, in ms. */
const RETRY_MS = 1_000;

/** What a sender tells its store. */
export interface SenderEvents {
  /** The server has answered; whether that settles the write is the store's decision. */
  answered(entry: FrozenEntry, outcome: WireOutcome): void;
  /** The server will never take this write. */
  refused(entry: FrozenEntry, refusal: WireRefusal): void;
  /** The client id belongs to another user: nothing that was written under it will be taken. */
  disowned(refusal: WireRefusal): void;
}

/**
 * Brings the outbox to the server, in order, while the channel is live.
 *
 * An error answer means that the number was not consumed. Then all that was sent behind it is refused as out of order, so sending
 * stops, and begins again with the same bytes.
 */
export class Sender {
  readonly #host: StoreHost;
  readonly #outbox: Outbox;
  readonly #events: SenderEvents;
  #isLive = false;
  /** False when the log has lost numbers that were given here: only under a new client id can anything be sent. */
  #fits = true;
  /** Counts memberships: an answer that belongs to an earlier one is nobody's. */
  #membership = 0;
  /** Runs out when a refusal has been waited out. */
  #hold: unknown;
  /** Numbers on their way, and when each was sent, counted in sends. */
  readonly #onTheWay = new Map<number, number>();
  #sends = 0;

  constructor(host: StoreHost, outbox: Outbox, events: SenderEvents) {
    this.#host = host;
    this.#outbox = outbox;
    this.#events = events;
  }

  /** The channel is live and the log ends at number `last` of this client: sends what is unsettled, then what waits. */
  goLive(last: number): void {
    this.stop();
    this.#isLive = true;
    this.#fits = this.#outbox.continueAfter(last, this.#host.clientId());
    this.send();
  }

  /** The channel is not live any more. Everything is sent again when it is. */
  stop(): void {
    this.#isLive = false;
    this.#membership++;
    this.#onTheWay.clear();
    this.#release();
  }

  /** Sends what may be sent. */
  send(): void {
    if (!this.#isLive || this.#hold !== undefined) return;
    if (this.#host.keeper !== undefined && this.#outbox.client !== this.#host.clientId()) {
      // What was written under the joined client id is settled. What waits, or will be written, has another one.
      this.stop();
      this.#host.renewClient(this.#outbox.client);
      return;
    }
    if (this.#outbox.size === 0) return;
    if (!this.#fits) {
      this.#renew();
      return;
    }
    this.#outbox.freeze(this.#host.clientId());
    for (const entry of [...this.#outbox.frozen]) {
      if (this.#onTheWay.size >= WINDOW) return;
      if (!this.#onTheWay.has(entry.frozen.n) && !this.#push(entry)) return;
    }
  }

  /** A settled write makes room in the window. */
  forget(n: number): void {
    this.#onTheWay.delete(n);
  }

  #push(entry: FrozenEntry): boolean {
    const { n, bytes } = entry.frozen;
    const membership = this.#membership;
    const sent = ++this.#sends;
    this.#onTheWay.set(n, sent);
    const isSent = this.#host.sendMutation(bytes, (reply) => {
      if (membership !== this.#membership || this.#outbox.byNumber(n) !== entry) return;
      if ("ok" in reply) this.#events.answered(entry, reply.ok);
      else this.#onRefusal(entry, reply.error, sent);
    });
    if (!isSent) this.stop();
    return isSent;
  }

  #onRefusal(entry: FrozenEntry, refusal: WireRefusal, sent: number): void {
    if (this.#onTheWay.get(entry.frozen.n) !== sent) return; // was sent again since: that has an answer of its own
    this.#onTheWay.delete(entry.frozen.n);
    if (refusal.code === "out_of_order") this.#onOutOfOrder(entry.frozen.n, refusal, sent);
    // A client whose first mutation is still due is as unknown as one that was forgotten.
    else if (refusal.code === "client_unknown") this.#onOutOfOrder(entry.frozen.n, { ...refusal, expect: 1 }, sent);
    else if (refusal.retryable) this.#wait(refusal.retryAfterMs);
    else {
      if (refusal.code === "forbidden_client") this.#events.disowned(refusal);
      else this.#events.refused(entry, refusal);
      // The number is free, but its bytes have been sent: a frame of theirs may still lie in the buffers of a dead connection.
      this.#renew();
    }
  }

  #onOutOfOrder(n: number, refusal: WireRefusal, sent: number): void {
    if (this.#hold !== undefined) return; // refused behind the one that is being waited for
    const due = refusal.expect ?? n;
    if (due >= n) this.#wait(refusal.retryAfterMs);
    // Settled here and lost there: no number that was given here can be taken any more.
    else if (this.#outbox.byNumber(due) === undefined) this.#renew();
    else {
      // What was sent before this one was lost or refused; what was sent after it will be refused in its turn.
      for (const [other, at] of this.#onTheWay) {
        if (other >= due && at < sent) this.#onTheWay.delete(other);
      }
      this.send();
    }
  }

  #wait(ms: number = RETRY_MS): void {
    if (this.#hold !== undefined) return;
    this.#hold = this.#host.setTimeout(() => {
      this.#hold = undefined;
      this.send();
    }, ms);
  }

  #release(): void {
    if (this.#hold !== undefined) this.#host.clearTimeout(this.#hold);
    this.#hold = undefined;
  }

  /** Begins again at 1 under a new client id, which the host joins with. Nothing of what is unsettled is in the log. */
  #renew(): void {
    this.stop();
    const client = this.#host.clientId();
    this.#host.renewClient();
    this.#outbox.renumber(client, this.#host.clientId());
  }
}
