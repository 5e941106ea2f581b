import type { Channel, ChannelSnapshot, Json, PublishOptions } from "@chorale/client";
import { useCallback, useMemo } from "react";
import { useRealtimeContext } from "./context.ts";
import { type Source, sourceOf } from "./held-store.ts";
import type { Opening } from "./holds.ts";
import { type ChannelRef, type OpenedChannel, useOpening } from "./opened-channel.ts";
import { useHeld } from "./use-store.ts";

/** Publishes on the hook's channel, see `Channel.publish`. Rejects with a ChoraleError when it is refused, and without a channel. */
export type Publish = (event: string, payload: Json, options?: PublishOptions) => Promise<{ id: string; offset?: number }>;

export interface UseChannel extends ChannelSnapshot {
  /** This component's hold on the channel; undefined before the first effect and without a name. Do not release it. */
  readonly channel: Channel | undefined;
  /** Stable. */
  readonly publish: Publish;
}

/** What a channel is before it was asked for: on the server, in the first render, without a name. */
export const IDLE: ChannelSnapshot = /* @__PURE__ */ Object.freeze({ status: "idle", isSynced: false });
export const STATUS = /* @__PURE__ */ sourceOf(({ channel }: OpenedChannel) => channel.status);
const ITSELF: Source<OpenedChannel, Channel | undefined> = /* @__PURE__ */ sourceOf(({ channel }) => ({
  getSnapshot: () => channel,
  subscribe: () => () => {},
}));

/**
 * Stays in a channel while the component is mounted. Components of one channel share one membership, which ends a moment after the
 * last of them is gone.
 */
export function useChannel(ref: ChannelRef): UseChannel {
  const opening = useOpening(ref);
  const channel = useHeld(opening, ITSELF, undefined);
  const snapshot = useHeld(opening, STATUS, IDLE);
  const publish = usePublish(opening);
  return useMemo(() => ({ ...snapshot, channel, publish }), [snapshot, channel, publish]);
}

/** A stable `publish` that holds the channel until the message was dealt with. */
export function usePublish(opening: Opening<OpenedChannel> | undefined): Publish {
  const { holds } = useRealtimeContext();
  return useCallback(
    async (event, payload, options) => {
      if (opening === undefined) throw new Error(`publish ${event}: there is no channel`);
      return holds.during(
        opening,
        ({ channel }) => channel.publish(event, payload, options),
        (published) => published,
      );
    },
    [holds, opening],
  );
}
