/** Frames of the wire (docs/protocol.md, sections 2 to 8): `unknown` comes in here, and typed values or a ProtocolError leave. */
import type { RecordsPage, WireChange, WireError, WireOutcome, WireRecord, WireRefusal, WireSynced } from "./collection/wire";
import { ChoraleError } from "./errors";
import type { Json } from "./types";

export const TOPIC_PREFIX = "realtime:";

export interface Frame {
  readonly joinRef: string | null;
  readonly ref: string | null;
  readonly topic: string;
  readonly event: string;
  readonly payload: unknown;
}

/** What cannot be understood. It is counted and dropped; the connection stays (F5). */
export class ProtocolError extends ChoraleError {
  override readonly name = "ProtocolError";
  constructor(message: string) {
    super("protocol_error", message);
  }
}

/** `payloadJson` is JSON already, so that bytes that must not change are passed on as they are. */
export function encodeFrame(joinRef: string | null, ref: string, topic: string, event: string, payloadJson: string): string {
  return `[${JSON.stringify(joinRef)},${JSON.stringify(ref)},${JSON.stringify(topic)},${JSON.stringify(event)},${payloadJson}]`;
}

export function decodeFrame(data: string): Frame {
  let parsed: unknown;
  try {
    parsed = JSON.parse(data);
  } catch {
    throw new ProtocolError("a frame is not JSON");
  }
  if (!Array.isArray(parsed)) throw new ProtocolError("a frame is not an array");
  const [joinRef, ref, topic, event, payload]: unknown[] = parsed;
  if (typeof topic !== "string" || typeof event !== "string") throw new ProtocolError("a frame has no topic or event");
  return { joinRef: text(joinRef), ref: text(ref), topic, event, payload };
}

const text = (value: unknown): string | null => (typeof value === "string" ? value : null);

export type Fields = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function object(value: unknown, what: string): Fields {
  if (!isObject(value)) throw new ProtocolError(`${what} is not an object`);
  return value;
}

function need<T>(value: unknown, is: (v: unknown) => v is T, what: string): T {
  if (!is(value)) throw new ProtocolError(`${what} is missing or of another type`);
  return value;
}

const isString = (v: unknown): v is string => typeof v === "string";
const isBoolean = (v: unknown): v is boolean => typeof v === "boolean";
/** Offsets and times are safe integers; what is beyond cannot be counted with. */
const isCount = (v: unknown): v is number => Number.isSafeInteger(v);
const isArray = (v: unknown): v is readonly unknown[] => Array.isArray(v);

/** A reply: what the server answered to a push. */
export type Reply = { readonly ok: true; readonly response: Fields } | { readonly ok: false; readonly error: WireRefusal };

export function decodeReply(payload: unknown): Reply {
  const p = object(payload, "a reply");
  const response = isObject(p.response) ? p.response : {};
  if (p.status === "ok") return { ok: true, response };
  const reason = isString(response.reason) ? response.reason : isString(p.response) ? p.response : "the server refused";
  return {
    ok: false,
    error: {
      code: isString(response.code) ? response.code : "refused",
      message: reason.replace(/^[A-Za-z]+: /, ""),
      retryable: response.retryable === true,
      ...(isCount(response.retryAfterMs) && { retryAfterMs: response.retryAfterMs }),
      ...(isCount(response.expect) && { expect: response.expect }),
    },
  };
}

export interface Joined {
  readonly epoch: string;
  readonly offset: number;
  readonly resumed: boolean;
  readonly reason: string;
  readonly sub: string;
  readonly now: number;
  readonly limits: { readonly recordBytes: number; readonly frameBytes: number };
}

/** response.chorale of a join's reply. */
export function decodeJoined(response: Fields): Joined {
  const c = object(response.chorale, "response.chorale (is this a Chorale server?)");
  const limits = isObject(c.limits) ? c.limits : {};
  return {
    epoch: need(c.epoch, isString, "epoch"),
    offset: need(c.offset, isCount, "offset"),
    resumed: need(c.resumed, isBoolean, "resumed"),
    reason: isString(c.reason) ? c.reason : "",
    sub: isString(c.sub) ? c.sub : "",
    now: need(c.now, isCount, "now"),
    limits: {
      recordBytes: isCount(limits.recordBytes) ? limits.recordBytes : 262_144,
      frameBytes: isCount(limits.frameBytes) ? limits.frameBytes : 5_000_000,
    },
  };
}

export interface WireMessage {
  readonly event: string;
  readonly payload: Json;
  readonly id: string | undefined;
  readonly offset: number | undefined;
  readonly replayed: boolean;
}

export function decodeBroadcast(payload: unknown): WireMessage {
  const p = object(payload, "a broadcast");
  const meta = isObject(p.meta) ? p.meta : {};
  return {
    event: need(p.event, isString, "a broadcast's event"),
    payload: (p.payload ?? null) as Json, // what JSON.parse made is Json
    id: isString(meta.id) ? meta.id : undefined,
    offset: isCount(meta.offset) ? meta.offset : undefined,
    replayed: meta.replayed === true,
  };
}

export function decodeRecord(value: unknown): WireRecord {
  const r = object(value, "a record");
  need(r.id, isString, "a record's id");
  need(r.version, isCount, "a record's version");
  need(r.fields, isObject, "a record's fields");
  need(r.stamps, isObject, "a record's stamps");
  return r as unknown as WireRecord; // its identity is checked above; values are the app's
}

export function decodeRecords(payload: unknown): RecordsPage {
  const p = object(payload, "records");
  return {
    collection: need(p.collection, isString, "records.collection"),
    reset: need(p.reset, isBoolean, "records.reset"),
    offset: need(p.offset, isCount, "records.offset"),
    records: need(p.records, isArray, "records.records").map(decodeRecord),
    more: p.more === true,
  };
}

const STATUSES: ReadonlySet<unknown> = new Set(["applied", "noop", "superseded", "exists", "gone", "rejected", "unknown"]);

export function decodeChange(payload: unknown): WireChange {
  const p = object(payload, "a change");
  need(p.offset, isCount, "change.offset");
  need(p.collection, isString, "change.collection");
  need(p.record, isString, "change.record");
  need(p.client, isString, "change.client");
  need(p.n, isCount, "change.n");
  if (!STATUSES.has(p.status)) throw new ProtocolError(`a change of unknown status ${JSON.stringify(p.status)}`);
  if (p.state !== undefined) decodeRecord(p.state);
  return p as unknown as WireChange; // what is read of it is checked above
}

export function decodeOutcome(value: unknown): WireOutcome {
  const o = object(value, "an outcome");
  need(o.n, isCount, "outcome.n");
  if (!STATUSES.has(o.status)) throw new ProtocolError(`an outcome of unknown status ${JSON.stringify(o.status)}`);
  const error = o.error === undefined ? undefined : decodeError(o.error);
  return { ...(o as unknown as WireOutcome), offset: isCount(o.offset) ? o.offset : 0, ...(error && { error }) };
}

function decodeError(value: unknown): WireError {
  const e = object(value, "an error");
  return {
    code: need(e.code, isString, "error.code"),
    message: isString(e.message) ? e.message : "",
    ...(isString(e.path) && { path: e.path }),
  };
}

export function decodeSynced(payload: unknown): WireSynced {
  const p = object(payload, "synced");
  return {
    epoch: need(p.epoch, isString, "synced.epoch"),
    offset: need(p.offset, isCount, "synced.offset"),
    last: need(p.last, isCount, "synced.last"),
    outcomes: need(p.outcomes, isArray, "synced.outcomes").map(decodeOutcome),
  };
}
