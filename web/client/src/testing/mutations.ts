/** What a server does with mutations: rules M1 to M5, over the same reducer. */

import { own } from "../collection/json";
import { type Content, reduce } from "../collection/reduce";
import type { WireChange, WireError, WireOutcome, WireRecord, WireRefusal } from "../collection/wire";
import { clampTime } from "../hlc";
import type { MutationOp } from "../types";

/** A mutation as it arrives. */
export interface FakeMutation extends Content {
  readonly client: string;
  readonly n: number;
  readonly id: string;
  readonly at: string;
  readonly base: number;
  readonly op: MutationOp;
  readonly collection: string;
  readonly record: string;
  readonly ifVersion?: number;
}

/** What a channel remembers of a client. */
export interface ClientRow {
  readonly owner: string;
  readonly last: number;
  /** The newest, oldest first. */
  readonly outcomes: readonly WireOutcome[];
}

const OUTCOMES_KEPT = 64;

/** Whether it is this mutation's turn: the refusal if it is not, the first outcome if it was, undefined if it is. */
export function admit(
  row: ClientRow | undefined,
  { n }: FakeMutation,
  sub: string,
): { error: WireRefusal } | { repeat: WireOutcome } | undefined {
  if (row === undefined) {
    if (n === 1) return undefined;
    return { error: { code: "client_unknown", message: "this channel does not know the client id", retryable: false } };
  }
  if (row.owner !== sub) {
    return { error: { code: "forbidden_client", message: "the client id belongs to another user", retryable: false } };
  }
  if (n > row.last + 1) {
    const message = `mutation ${row.last + 1} is due, not ${n}`;
    return { error: { code: "out_of_order", message, retryable: true, expect: row.last + 1 } };
  }
  if (n === row.last + 1) return undefined;
  const first = row.outcomes.find((outcome) => outcome.n === n) ?? { n, offset: 0, status: "unknown" as const };
  return { repeat: { ...first, duplicate: true } };
}

export function rowAfter(row: ClientRow | undefined, owner: string, outcome: WireOutcome): ClientRow {
  return { owner, last: outcome.n, outcomes: [...(row?.outcomes ?? []), outcome].slice(-OUTCOMES_KEPT) };
}

export interface Decision {
  /** The record with its new version; undefined when it stays as it is. */
  readonly record?: WireRecord;
  readonly change: WireChange;
  readonly outcome: WireOutcome;
}

export interface Circumstances {
  readonly record: WireRecord | undefined;
  readonly sub: string;
  /** ms since 1970. */
  readonly now: number;
  /** The entry's place in the log. */
  readonly offset: number;
  /** Why a rule or a schema refuses it, if it does. Asked only about what would be applied. */
  fault(): WireError | undefined;
}

/** What becomes of a mutation whose turn it is. */
export function decide(m: FakeMutation, { record, sub, now, offset, fault }: Circumstances): Decision {
  const stamp = `${clampTime(m.at, now)}@${m.client}`;
  const result = reduce(record, m, stamp, { subject: sub, now });
  const { client, n, id, base, op, collection } = m;
  const about = { offset, collection, record: m.record, op, client, n, id, by: sub, time: now, base };
  const version = record?.version ?? 0;
  const refusal =
    m.ifVersion !== undefined && m.ifVersion !== version
      ? { code: "version_conflict", message: `the record is at version ${version}`, path: "/ifVersion" }
      : result.status === "applied"
        ? fault()
        : undefined;
  if (refusal !== undefined) {
    const current = refusal.code === "version_conflict" && record !== undefined ? record : undefined;
    return {
      change: { ...about, status: "rejected", error: refusal, ...(current && { state: current }) },
      outcome: { n, offset, status: "rejected", error: refusal, ...(current && { record: current }) },
    };
  }
  if (result.status !== "applied" || result.record === undefined) {
    const { status } = result;
    return {
      change: { ...about, status, ...(status !== "noop" && record && { state: record }) },
      outcome: { n, offset, status },
    };
  }
  const next = { ...result.record, version: offset };
  const lost = result.lost.length > 0 ? { lost: result.lost } : {};
  const content = op === "patch" ? { ...whatWon(m, next, stamp), stamp } : op === "delete" ? { stamp } : { state: next };
  return {
    record: next,
    change: { ...about, status: "applied", ...content, ...lost },
    outcome: { n, offset, status: "applied", ...lost },
  };
}

/** The part of a patch that is in the record now (M7). */
function whatWon(m: FakeMutation, next: WireRecord, stamp: string) {
  const fields = Object.entries(m.fields).filter(([name]) => own(next.stamps, name) === stamp);
  const sets = Object.entries(m.sets).map(([name, elements]) => {
    const won = Object.entries(elements).filter(([element]) => own(own(next.setStamps, name), element)?.slice(1) === stamp);
    return [name, Object.fromEntries(won)] as const;
  });
  const counters = Object.keys(m.counters).map((name) => [name, own(next.counters, name) ?? 0] as const);
  return {
    ...(fields.length > 0 && { fields: Object.fromEntries(fields) }),
    ...(sets.length > 0 && { sets: Object.fromEntries(sets) }),
    ...(counters.length > 0 && { counters: Object.fromEntries(counters) }),
  };
}
