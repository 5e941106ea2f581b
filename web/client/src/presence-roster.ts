/** Who is in a channel, folded from `presence_state` and `presence_diff` (docs/protocol.md, section 6). Pure. */
import { freeze, isSameJson } from "./collection/json";
import { isObject, ProtocolError } from "./protocol";
import type { Json, PresenceMember } from "./types";

/** One track of one connection; `ref` is its phx_ref, which a leave repeats exactly (P1). */
interface Meta {
  readonly ref: string;
  /** The track that this one replaces (P2). */
  readonly replaces: string | undefined;
  readonly state: Readonly<Record<string, Json>>;
}

/** Tracks by key, oldest first. */
export type Roster = ReadonlyMap<string, readonly Meta[]>;

export interface RosterDiff {
  readonly joins: Roster;
  readonly leaves: Roster;
}

export function decodeState(payload: unknown): Roster {
  if (!isObject(payload)) throw new ProtocolError("presence_state is not an object");
  const roster = new Map<string, readonly Meta[]>();
  for (const [key, entry] of Object.entries(payload)) {
    if (!isObject(entry) || !Array.isArray(entry.metas)) throw new ProtocolError("a member of presence has no metas");
    const metas = entry.metas.map(decodeMeta);
    if (metas.length > 0) roster.set(key, metas);
  }
  return roster;
}

export function decodeDiff(payload: unknown): RosterDiff {
  if (!isObject(payload)) throw new ProtocolError("presence_diff is not an object");
  return { joins: decodeState(payload.joins ?? {}), leaves: decodeState(payload.leaves ?? {}) };
}

function decodeMeta(value: unknown): Meta {
  if (!isObject(value) || typeof value.phx_ref !== "string") throw new ProtocolError("a presence meta has no phx_ref");
  const { phx_ref: ref, phx_ref_prev: replaces, ...state } = value;
  // What JSON.parse made is Json.
  return { ref, replaces: typeof replaces === "string" ? replaces : undefined, state: freeze(state as Record<string, Json>) };
}

/**
 * The roster after a diff. Joins before leaves: a track that came and went within one diff is gone, and one that replaces another
 * finds that other by its ref, wherever it stands.
 */
export function applyDiff(roster: Roster, diff: RosterDiff): Roster {
  const after = new Map(roster);
  for (const [key, metas] of diff.joins) {
    const gone = new Set(metas.flatMap((meta) => (meta.replaces === undefined ? [meta.ref] : [meta.ref, meta.replaces])));
    after.set(key, [...without(after.get(key), gone), ...metas]);
  }
  for (const [key, metas] of diff.leaves) {
    const left = without(after.get(key), new Set(metas.map((meta) => meta.ref)));
    if (left.length > 0) after.set(key, left);
    else after.delete(key);
  }
  return after;
}

function without(metas: readonly Meta[] = [], refs: ReadonlySet<string>): readonly Meta[] {
  return metas.filter((meta) => !refs.has(meta.ref));
}

/** What an app sees, ordered by key. Members and states that say the same as before are the same objects. */
export function membersOf(roster: Roster, before: readonly PresenceMember[], ownKey: string): readonly PresenceMember[] {
  const known = new Map(before.map((member) => [member.key, member]));
  const keys = [...roster.keys()].sort();
  const members = keys.map((key) => memberOf(key, roster.get(key) ?? [], known.get(key), ownKey));
  const isSame = members.length === before.length && members.every((member, i) => member === before[i]);
  return isSame ? before : Object.freeze(members);
}

function memberOf(key: string, metas: readonly Meta[], before: PresenceMember | undefined, ownKey: string): PresenceMember {
  const states = metas.map(({ state }) => before?.states.find((old) => isSameJson(old, state)) ?? state);
  const isSelf = key === ownKey;
  const isSame = before?.isSelf === isSelf && before.states.length === states.length;
  if (isSame && states.every((state, i) => state === before.states[i])) return before;
  return Object.freeze({ key, state: states[states.length - 1] ?? {}, states: Object.freeze(states), isSelf });
}
