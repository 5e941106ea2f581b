import type { ChoraleErrorLike, Json, Message, PublishOptions } from "@chorale/client";
import type { EventType } from "@chorale/client/schema";
import { useCallback, useEffect } from "react";
import { useRealtimeContext } from "./context.ts";
import { type ChannelRef, nameOf, useOpening } from "./opened-channel.ts";
import { usePublish } from "./use-channel.ts";
import { useLatest } from "./use-store.ts";

/**
 * Listens to one event of a channel (`"*"`: to all) and returns a stable function that publishes it.
 *
 *     const wave = useBroadcast<{ from: string }>("room:7", "wave", ({ payload }) => greet(payload.from));
 *     wave({ from: "Ada" });
 *
 * An event's type is made by `defineEvent` of `@chorale/client/schema`, and checks what comes: what does not fit goes to `onInvalid`.
 * Without one `P` is what the app says the payload is, and nobody checks it.
 *
 * The listener may be a new function in each render: messages go to the newest. It hears this client's own messages only when the
 * options say `self`. Nothing is rendered for a message.
 */
export function useBroadcast<P, I>(
  ref: ChannelRef,
  event: EventType<P, I>,
  listener?: (message: Message<P>) => void,
  onInvalid?: (error: ChoraleErrorLike, message: Message) => void,
): (payload: I, options?: PublishOptions) => Promise<{ id: string; offset?: number }>;
export function useBroadcast<P = Json>(
  ref: ChannelRef,
  event: string,
  listener?: (message: Message<P>) => void,
): (payload: P, options?: PublishOptions) => Promise<{ id: string; offset?: number }>;
export function useBroadcast<P>(
  ref: ChannelRef,
  event: string | EventType<P>,
  listener?: (message: Message<P>) => void,
  onInvalid?: (error: ChoraleErrorLike, message: Message) => void,
): (payload: P, options?: PublishOptions) => Promise<{ id: string; offset?: number }> {
  const { holds } = useRealtimeContext();
  const opening = useOpening(ref);
  const latest = useLatest({ listener, onInvalid });
  useEffect(() => {
    if (opening === undefined) return;
    const { opened, release } = holds.hold(opening);
    const hear = (message: Message<P>) => latest.current.listener?.(message);
    const stop =
      typeof event === "string"
        ? opened.channel.on(event, hear)
        : event.on(opened.channel, hear, (...args) => latest.current.onInvalid?.(...args));
    return () => {
      stop();
      release();
    };
  }, [holds, opening, event, latest]);

  const publish = usePublish(opening);
  // An interface has no index signature, so the compiler cannot see that it is JSON; the encoder does.
  return useCallback((payload, options) => publish(nameOf(event), payload as Json, options), [publish, event]);
}
