/**
 * Messages on their way into the log: sent again with the same id until they are acknowledged (B2), so that each is logged once.
 * What nobody waits for (`ack: false`) is sent again as well; its promise is done with when it was handed to the socket.
 */
import { ChoraleError } from "./errors";
import type { Reply } from "./protocol";
import type { Json, Platform } from "./types";

const MAX_MESSAGES = 1_000;
/** Of JSON; a single message may have more. */
const MAX_CHARS = 1_000_000;
/** How many may be on the wire without an answer. */
const WINDOW = 32;
const RETRY_MS = 1_000;

type Send = (payloadJson: string, onReply: (reply: Reply) => void) => boolean;

interface Waiting {
  readonly id: string;
  readonly payloadJson: string;
  readonly ack: boolean;
  sent: boolean;
  readonly resolve: (acked: { id: string; offset?: number }) => void;
  readonly reject: (error: ChoraleError) => void;
}

export class PublishQueue {
  readonly #platform: Platform;
  readonly #send: Send;
  readonly #waiting: Waiting[] = [];
  #bytes = 0;
  #retry: unknown;

  constructor(platform: Platform, send: Send) {
    this.#platform = platform;
    this.#send = send;
  }

  publish(id: string, payloadJson: string, ack: boolean): Promise<{ id: string; offset?: number }> {
    const isFull = this.#waiting.length >= MAX_MESSAGES || this.#bytes + payloadJson.length > MAX_CHARS;
    if (isFull && this.#waiting.length > 0) {
      return Promise.reject(
        new ChoraleError("queue_full", `${this.#waiting.length} messages wait to be sent already`, { retryable: true }),
      );
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ id, payloadJson, ack, sent: false, resolve, reject });
      this.#bytes += payloadJson.length;
      this.flush();
    });
  }

  /** Sends what may be sent, in order. */
  flush(): void {
    if (this.#retry !== undefined) return;
    for (const message of this.#waiting.slice(0, WINDOW)) {
      if (message.sent) continue;
      message.sent = this.#send(message.payloadJson, (reply) => this.#answered(message, reply));
      if (!message.sent) return;
      if (!message.ack) message.resolve({ id: message.id });
    }
  }

  /** The connection is gone: what has no answer will be sent again. */
  onDown(): void {
    for (const message of this.#waiting) message.sent = false;
    this.#platform.clearTimeout(this.#retry);
    this.#retry = undefined;
  }

  /** What waits will not be sent. */
  close(error: ChoraleError): void {
    this.onDown();
    this.#bytes = 0;
    for (const message of this.#waiting.splice(0)) message.reject(error);
  }

  #answered(message: Waiting, reply: Reply): void {
    const at = this.#waiting.indexOf(message);
    if (at < 0) return;
    if (!reply.ok && reply.error.retryable) {
      // All that follow wait as well, or they would overtake it.
      for (const later of this.#waiting.slice(at)) later.sent = false;
      this.#retry ??= this.#platform.setTimeout(() => {
        this.#retry = undefined;
        this.flush();
      }, reply.error.retryAfterMs ?? RETRY_MS);
      return;
    }
    this.#waiting.splice(at, 1);
    this.#bytes -= message.payloadJson.length;
    if (reply.ok) {
      const offset = reply.response.offset;
      message.resolve({ id: message.id, ...(typeof offset === "number" && { offset }) });
    } else {
      message.reject(new ChoraleError(reply.error.code, reply.error.message));
    }
    this.flush();
  }
}

/** The payload of a broadcast push (section 5). */
export function broadcastJson(event: string, payload: Json, meta: { id: string; ephemeral?: boolean }): string {
  return JSON.stringify({ type: "broadcast", event, payload, meta });
}
