/**
 * A record's past: who changed what, and when, as far as the channel's log still holds it (A6; the rule's `history` says how far). An
 * entry of its own: it asks over HTTP, once, and is not live.
 *
 *     const { versions } = await readHistory({ url, getToken }, { channel: "list:7", collection: "tasks", recordId });
 *     for (const { by, at, op, changed } of versions) show(`${by} at ${new Date(at)}: ${op} ${changed.join()}`);
 */
import { Base } from "./collection/base";
import { freeze } from "./collection/json";
import type { WireChange, WireRecord } from "./collection/wire";
import { ChoraleError } from "./errors";
import type { Json, MutationOp, RealtimeClientOptions, Rec, RecordShape } from "./types";

/** Where to ask, and as whom. */
export interface HistorySource extends Pick<RealtimeClientOptions, "url" | "getToken"> {
  /** For tests, and platforms that have another. */
  readonly fetch?: (url: string, init: RequestInit) => Promise<Response>;
}

export interface HistoryQuery {
  readonly channel: string;
  readonly collection: string;
  readonly recordId: string;
  /** How many changes at most, the newest; 1 to 1,000, default 100. */
  readonly limit?: number;
  readonly signal?: AbortSignal;
}

/** One change of a record, and what the record was after it. */
export interface Version<T extends RecordShape> {
  /** The offset of the change: the `version` that the record had from then on. */
  readonly version: number;
  /** When the server took it, ms since 1970. */
  readonly at: number;
  /** Who made it (token `sub`), and with which client. */
  readonly by: string;
  readonly clientId: string;
  readonly op: MutationOp;
  /** Names of the fields, sets and counters that it wrote. */
  readonly changed: readonly string[];
  /** What it wrote of them: a field's value, a set's elements (true: added), a counter's total. */
  readonly wrote: Readonly<Record<string, Json>>;
  /** The record after it; undefined when it was deleted, or when the log no longer holds what it was before. */
  readonly record: Rec<T> | undefined;
}

export interface RecordHistory<T extends RecordShape> {
  /** True when nothing came before the first version: it is how the record was made. */
  readonly isComplete: boolean;
  /** Oldest first. */
  readonly versions: readonly Version<T>[];
}

/**
 * Reads the history of a record, also of a deleted one. Rejects with a ChoraleError that has the server's code (`record_unknown`,
 * `unauthorized`), and with what `fetch` rejects with when there is no network.
 */
export async function readHistory<T extends RecordShape = RecordShape>(
  source: HistorySource,
  query: HistoryQuery,
): Promise<RecordHistory<T>> {
  const { channel, collection, recordId, limit, signal } = query;
  const ask = source.fetch ?? ((url: string, init: RequestInit) => fetch(url, init));
  const parts = ["channels", channel, "collections", collection, "records", recordId, "history"];
  const base = source.url.replace(/^ws/, "http").replace(/\/(socket\/?)?$/, "");
  const url = `${base}/api/v1/${parts.map(encodeURIComponent).join("/")}${limit === undefined ? "" : `?limit=${limit}`}`;
  const request = async (refused: boolean) => {
    const authorization = `Bearer ${await source.getToken({ refused })}`;
    return ask(url, { headers: { authorization }, ...(signal && { signal }) });
  };
  const first = await request(false);
  const response = first.status === 401 ? await request(true) : first;
  if (!response.ok) throw await errorOf(response);
  return historyOf<T>((await response.json()) as WireHistory);
}

interface WireHistory {
  readonly complete: boolean;
  readonly changes: readonly WireChange[];
}

function historyOf<T extends RecordShape>({ complete, changes }: WireHistory): RecordHistory<T> {
  const base = new Base();
  const versions = changes.map((change): Version<T> => {
    const record = base.apply(change)?.after;
    const { offset: version, time: at, by, client: clientId, op } = change;
    const { fields, sets, counters } = change.state ?? change;
    const wrote = { ...fields, ...sets, ...counters } as Record<string, Json>;
    return { version, at, by, clientId, op, changed: Object.keys(wrote).sort(), wrote, record: shown<T>(record) };
  });
  return freeze({ isComplete: complete, versions });
}

function shown<T extends RecordShape>(record: WireRecord | undefined): Rec<T> | undefined {
  if (record === undefined || record.deleted !== undefined) return undefined;
  const { id, version, createdAt, createdBy, updatedAt, updatedBy, fields, sets, counters } = record;
  const meta = { id, version, createdAt, createdBy, updatedAt, updatedBy };
  // What the fields are is the app's knowledge and the server's schema's.
  return { ...fields, ...sets, ...counters, ...meta } as unknown as Rec<T>;
}

async function errorOf(response: Response): Promise<ChoraleError> {
  const problem = (await response.json().catch(() => ({}))) as {
    readonly code?: string;
    readonly detail?: string;
    readonly retryable?: boolean;
  };
  const { code = "refused", detail = `the server answered ${response.status}`, retryable = response.status >= 500 } = problem;
  return new ChoraleError(code, detail, { retryable });
}
