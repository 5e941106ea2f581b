import type { Json, PresenceMember } from "@chorale/client";
import { useEffect, useMemo } from "react";
import { ofChannel } from "./claimed-store.ts";
import { type ChannelRef, claimKey } from "./claims.ts";
import { useRealtimeContext } from "./context.ts";
import { useChannelStore, useLatest } from "./use-store.ts";

/** What a member says of itself. */
export type PresenceState = Record<string, Json>;

export interface UsePresence<P = PresenceState> {
  /** Everybody in the channel, ordered by key. */
  readonly members: readonly PresenceMember<P>[];
  /** Oneself among them, once the server has said so. */
  readonly self: PresenceMember<P> | undefined;
  /** Says something of oneself. Stable; newest wins; nothing happens without a channel. */
  readonly set: (state: P) => void;
  /** Changes some of it. Stable. */
  readonly update: (part: Partial<P>) => void;
}

const NOBODY: readonly PresenceMember[] = Object.freeze([]);
const MEMBERS = ofChannel((channel) => channel.presence.members);

/**
 * Who is in a channel. With `initialState` the component takes part from its mount on; without, it watches until `set` is called.
 * A later `initialState` is not looked at: `update` says what changed.
 */
export function usePresence<P extends object = PresenceState>(ref: ChannelRef, initialState?: P): UsePresence<P> {
  const { claims } = useRealtimeContext();
  const key = presenceKey(ref);
  const members = useChannelStore(key, MEMBERS, NOBODY) as readonly PresenceMember<P>[];

  const initial = useLatest(initialState);
  useEffect(() => {
    if (key === undefined) return;
    const { claim, release } = claims.hold(key);
    if (initial.current !== undefined) claim.channel.presence.set(initial.current as PresenceState);
    return release;
  }, [claims, key, initial]);

  const actions = useMemo(() => {
    const presence = () => (key === undefined ? undefined : claims.peek(key)?.channel.presence);
    return {
      set: (state: P) => presence()?.set(state as PresenceState),
      update: (part: Partial<P>) => presence()?.update(part as PresenceState),
    };
  }, [claims, key]);

  return useMemo(() => ({ members, self: members.find((member) => member.isSelf), ...actions }), [members, actions]);
}

function presenceKey(ref: ChannelRef) {
  if (ref === undefined) return undefined;
  return claimKey(typeof ref === "string" ? { name: ref, presence: true } : { ...ref, presence: true });
}
