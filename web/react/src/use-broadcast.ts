import type { Json, Message, PublishOptions } from "@chorale/client";
import { useCallback, useEffect } from "react";
import { useRealtimeContext } from "./context.ts";
import { type ChannelRef, useOpening } from "./opened-channel.ts";
import { usePublish } from "./use-channel.ts";
import { useLatest } from "./use-store.ts";

/**
 * Listens to one event of a channel (`"*"`: to all) and returns a stable function that publishes it.
 *
 *     const wave = useBroadcast<{ from: string }>("room:7", "wave", ({ payload }) => greet(payload.from));
 *     wave({ from: "Ada" });
 *
 * `P` is what the app says the payload is; nobody checks it. The listener may be a new function in each render: messages go to the
 * newest. It hears this client's own messages only when the options say `self`. Nothing is rendered for a message.
 */
export function useBroadcast<P = Json>(
  ref: ChannelRef,
  event: string,
  listener?: (message: Message<P>) => void,
): (payload: P, options?: PublishOptions) => Promise<{ id: string; offset?: number }> {
  const { holds } = useRealtimeContext();
  const opening = useOpening(ref);
  const latest = useLatest(listener);
  useEffect(() => {
    if (opening === undefined) return;
    const { opened, release } = holds.hold(opening);
    const stop = opened.channel.on<P>(event, (message) => latest.current?.(message));
    return () => {
      stop();
      release();
    };
  }, [holds, opening, event, latest]);

  const publish = usePublish(opening);
  // An interface has no index signature, so the compiler cannot see that it is JSON; the encoder does.
  return useCallback((payload, options) => publish(event, payload as Json, options), [publish, event]);
}
