import type { Json, PresenceMember } from "@chorale/client";
import { useEffect, useMemo } from "react";
import { useRealtimeContext } from "./context.ts";
import { sourceOf } from "./held-store.ts";
import { type ChannelRef, type OpenedChannel, useOpening } from "./opened-channel.ts";
import { useHeld, useHeldSelection, useLatest } from "./use-store.ts";

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

const NOBODY: readonly PresenceMember[] = /* @__PURE__ */ Object.freeze([]);
const MEMBERS = /* @__PURE__ */ sourceOf(({ channel }: OpenedChannel) => channel.presence.members);

/**
 * Who is in a channel. With `initialState` the component takes part from its mount on; without, it watches until `set` is called.
 * A later `initialState` is not looked at: `update` says what changed. What was said ends with the last component that said something
 * of itself in this channel, or shares this hook's options with one that did.
 */
export function usePresence<P extends object = PresenceState>(ref: ChannelRef, initialState?: P): UsePresence<P> {
  const { holds } = useRealtimeContext();
  const opening = useOpening(ref, true);
  // What a state is, the app's own components agree on.
  const members = useHeld(opening, MEMBERS, NOBODY) as readonly PresenceMember<P>[];

  const initial = useLatest(initialState);
  useEffect(() => {
    if (opening === undefined) return;
    const { opened, release } = holds.hold(opening);
    if (initial.current !== undefined) opened.channel.presence.set(initial.current as PresenceState);
    return release;
  }, [holds, opening, initial]);

  const actions = useMemo(() => {
    const presence = () => opening && holds.peek(opening)?.channel.presence;
    return {
      set: (state: P) => presence()?.set(state as PresenceState),
      update: (part: Partial<P>) => presence()?.update(part as PresenceState),
    };
  }, [holds, opening]);

  return useMemo(() => ({ members, self: members.find((member) => member.isSelf), ...actions }), [members, actions]);
}

/**
 * What `select` makes of the members of a channel, without taking part: names without their cursors, how many there are. The component
 * renders only when that is another value, or an array or object with other parts:
 *
 *     const names = useMembers<Person, string[]>(channel, (members) => members.map(({ state }) => state.name));
 */
export function useMembers<P extends object, S>(ref: ChannelRef, select: (members: readonly PresenceMember<P>[]) => S): S {
  // What a state is, the app's own components agree on.
  return useHeldSelection(useOpening(ref, true), MEMBERS, NOBODY, select as (members: readonly PresenceMember[]) => S);
}
