import type { MutationFailure } from "@chorale/client";

/** How many refused notes are kept: enough for a long day without a network, and an end for a server that refuses everything. */
const MAX_KEPT = 200;

/** Refused writes to notes by channel and record, the oldest first. */
export type Failures = ReadonlyMap<string, MutationFailure>;

const keyOf = (channel: string, recordId: string) => `${channel}/${recordId}`;

/**
 * Keeps the newest refusal of each note, of all notes the newest 200. An edit of a note that was refused itself joins its text: the
 * two of them are what the person had written.
 */
export function keepFailure(failures: Failures, newest: MutationFailure): Failures {
  const key = keyOf(newest.channel, newest.recordId);
  const kept = new Map(failures);
  const before = kept.get(key);
  const isEditOfNew = before?.op === "put" && newest.op === "patch";
  kept.delete(key); // so that it goes to the end
  kept.set(key, isEditOfNew ? { ...before, fields: { ...before.fields, ...newest.fields } } : newest);
  return new Map([...kept].slice(-MAX_KEPT));
}

/** Forgets what somebody has dealt with; the same map when there is nothing to forget. */
export function forgetFailure(failures: Failures, channel: string, recordId: string): Failures {
  const kept = new Map(failures);
  return kept.delete(keyOf(channel, recordId)) ? kept : failures;
}

/** The refused writes to the notes of one channel, by note. */
export function failuresIn(failures: Failures, channel: string): Failures {
  const own = [...failures.values()].filter((failure) => failure.channel === channel);
  return new Map(own.map((failure) => [failure.recordId, failure]));
}
