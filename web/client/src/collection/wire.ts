/** What collections say on the wire (docs/protocol.md, section 7). */
import type { Json } from "../types";

/** A stamp: hybrid logical time, `@`, client id. Compares as an ASCII string. */
export type Stamp = string;

/** A record on the wire (docs/protocol.md, section 7). */
export interface WireRecord {
  readonly id: string;
  readonly version: number;
  readonly fields: Readonly<Record<string, Json>>;
  readonly sets?: Readonly<Record<string, readonly string[]>>;
  readonly counters?: Readonly<Record<string, number>>;
  readonly stamps: Readonly<Record<string, Stamp>>;
  readonly setStamps?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly createdBy: string;
  readonly createdAt: number;
  readonly updatedBy: string;
  readonly updatedAt: number;
  readonly deleted?: Stamp;
}

/** Payload of `records`: one page of a collection. */
export interface RecordsPage {
  readonly collection: string;
  readonly reset: boolean;
  readonly offset: number;
  readonly records: readonly WireRecord[];
  readonly more: boolean;
}

export type WireStatus = "applied" | "noop" | "superseded" | "exists" | "gone" | "rejected" | "unknown";

export interface WireError {
  readonly code: string;
  readonly message: string;
  readonly path?: string;
}

/** Payload of `change`. */
export interface WireChange {
  readonly offset: number;
  readonly collection: string;
  readonly record: string;
  readonly op: "put" | "patch" | "delete" | "restore";
  readonly status: WireStatus;
  readonly client: string;
  readonly n: number;
  readonly id?: string;
  readonly by: string;
  readonly time: number;
  readonly base?: number;
  readonly fields?: Readonly<Record<string, Json>>;
  readonly sets?: Readonly<Record<string, Readonly<Record<string, boolean>>>>;
  readonly counters?: Readonly<Record<string, number>>;
  readonly stamp?: Stamp;
  readonly lost?: readonly string[];
  readonly error?: WireError;
  readonly state?: WireRecord;
}

/** Response to a `mutate` push, and an element of `synced.outcomes`. */
export interface WireOutcome {
  readonly n: number;
  readonly offset: number;
  readonly status: WireStatus;
  readonly lost?: readonly string[];
  readonly error?: WireError;
  readonly record?: WireRecord;
  readonly duplicate?: boolean;
}

/** Payload of `synced`. */
export interface WireSynced {
  readonly epoch: string;
  readonly offset: number;
  readonly last: number;
  readonly outcomes: readonly WireOutcome[];
}

/** An error reply to a `mutate` push: `n` was not consumed. */
export interface WireRefusal {
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
  readonly retryAfterMs?: number;
  /** out_of_order: the `n` that is due. */
  readonly expect?: number;
}
