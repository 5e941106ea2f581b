import type { Channel, ChannelSnapshot, Json, PublishOptions } from "@chorale/client";
import { useCallback, useMemo } from "react";
import { ofChannel, type Source } from "./claimed-store.ts";
import { type ChannelRef, type ClaimKey, claimKey } from "./claims.ts";
import { useRealtimeContext } from "./context.ts";
import { useChannelStore } from "./use-store.ts";

/** Publishes on the hook's channel, see `Channel.publish`. Rejects with a ChoraleError when it is refused, and without a channel. */
export type Publish<P = Json> = (
  event: string,
  payload: P,
  options?: PublishOptions,
) => Promise<{ id: string; offset?: number }>;

export interface UseChannel extends ChannelSnapshot {
  /** This component's hold on the channel; undefined before the first effect and without a name. Do not release it. */
  readonly channel: Channel | undefined;
  /** Stable. */
  readonly publish: Publish;
}

/** What a channel is before it was asked for: on the server, in the first render, without a name. */
export const IDLE: ChannelSnapshot = Object.freeze({ status: "idle", isSynced: false });

export const STATUS = ofChannel((channel) => channel.status);
const ITSELF: Source<Channel | undefined> = ofChannel((channel) => ({ getSnapshot: () => channel, subscribe: () => () => {} }));

/**
 * Stays in a channel while the component is mounted. Components of one channel share one membership, which ends a moment after the
 * last of them is gone.
 */
export function useChannel(ref: ChannelRef): UseChannel {
  const key = claimKey(ref);
  const channel = useChannelStore(key, ITSELF, undefined);
  const snapshot = useChannelStore(key, STATUS, IDLE);
  const publish = usePublish(key);
  return useMemo(() => ({ ...snapshot, channel, publish }), [snapshot, channel, publish]);
}

/** A stable `publish` that holds the channel until the message was dealt with. */
export function usePublish(key: ClaimKey | undefined): Publish {
  const { claims } = useRealtimeContext();
  return useCallback(
    async (event, payload, options) => {
      if (key === undefined) throw new Error(`publish ${event}: there is no channel yet`);
      return claims.during(
        key,
        ({ channel }) => channel.publish(event, payload, options),
        (published) => published,
      );
    },
    [claims, key],
  );
}
