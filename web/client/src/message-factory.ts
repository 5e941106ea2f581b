import { newUuid } from "./env";
import { isObject } from "./protocol";
import type { Json, Message } from "./types";

/** Makes messages beside a channel: optimistic copies of what is published, and what tests hand to handlers. */
export const messageFactory = {
  /** A frozen message. Its id is a new UUIDv7, unless it stands for a message that has one. */
  create<P = Json>(event: string, payload: P, options: { channel: string; id?: string }): Message<P> {
    const id = options.id ?? newUuid();
    return Object.freeze({ id, channel: options.channel, event, payload, replayed: false });
  },

  /** Whether a value is a message. Its payload may be any JSON: what an app expects of it, a handler's `parse` checks. */
  isMessage(value: unknown): value is Message {
    return (
      isObject(value) &&
      typeof value.id === "string" &&
      typeof value.channel === "string" &&
      typeof value.event === "string" &&
      typeof value.replayed === "boolean" &&
      "payload" in value &&
      (value.offset === undefined || Number.isSafeInteger(value.offset))
    );
  },
} as const;
