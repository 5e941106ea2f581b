import type { WireChange, WireError, WireOutcome, WireRecord, WireRefusal, WireSynced } from "../collection/wire";
import type { Json } from "../types";
import { admit, type ClientRow, decide, type FakeMutation, rowAfter } from "./mutations";

/** A member of a channel, as the channel sees it. */
export interface Member {
  readonly sub: string;
  readonly client: string;
  readonly collections: readonly string[];
  readonly isSelf: boolean;
  readonly presenceKey: string;
  hasPresence: boolean;
  push(event: string, payload: unknown): void;
}

export interface Position {
  readonly epoch: string;
  readonly offset: number;
  /** Of a resume: the collections that are held there; absent means all. */
  readonly collections?: readonly string[];
}

/** What a join asks to go on from. */
export type ResumeAnswer = { readonly resumed: true } | { readonly resumed: false; readonly reason: string };

interface LoggedMessage {
  readonly offset: number;
  readonly id: string;
  readonly body: Readonly<Record<string, unknown>>;
}

/** What survives a restart. Plain data, so that a backup is a copy. */
interface Log {
  epoch: string;
  offset: number;
  messages: LoggedMessage[];
  /** Messages at or below are no longer kept. */
  truncatedAt: number;
  records: Map<string, Map<string, WireRecord>>;
  rows: Map<string, ClientRow>;
  /** How often each mutation took effect, by its id. */
  applied: Map<string, number>;
}

const PAGE = 500;

/** One channel of a fake server: its log, its members, who is present. */
export class FakeChannel {
  readonly name: string;
  readonly #now: () => number;
  readonly #members = new Set<Member>();
  readonly #metas = new Map<Member, Json & object>();
  #refs = 0;
  #log: Log;

  constructor(name: string, epoch: string, now: () => number) {
    this.name = name;
    this.#now = now;
    this.#log = emptyLog(epoch);
  }

  // ---- for tests to look at, and to change

  get position(): Position {
    return { epoch: this.#log.epoch, offset: this.#log.offset };
  }

  get memberCount(): number {
    return this.#members.size;
  }

  /** The records of a collection, tombstones included, ordered by id. */
  records(collection: string): readonly WireRecord[] {
    return [...this.#recordsOf(collection).values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** How often the mutation with this id took effect. */
  timesApplied(id: string): number {
    return this.#log.applied.get(id) ?? 0;
  }

  /** Mutation ids that took effect. */
  get appliedIds(): readonly string[] {
    return [...this.#log.applied.keys()];
  }

  /** A backend, or somebody who is not modelled, broadcasts. Returns the message's offset. */
  broadcast(event: string, payload: Json, id = `message-${this.#log.offset + 1}`): number {
    return this.publish({ type: "broadcast", event, payload }, id, undefined);
  }

  /** Forgets the messages so far, as retention does; records stay. */
  truncate(): void {
    this.#log.truncatedAt = this.#log.offset;
    this.#log.messages = [];
  }

  /** Forgets what clients have sent, as a server does after a long time. */
  forgetClients(): void {
    this.#log.rows.clear();
  }

  /** Loses everything: the channel begins again, in another epoch. */
  lose(epoch: string): void {
    this.#log = emptyLog(epoch);
  }

  backup(): () => void {
    const copy = structuredClone(this.#log);
    return () => {
      this.#log = structuredClone(copy);
    };
  }

  // ---- for the server's sessions

  /** Where a member can go on from (S1, S2). */
  resume(at: Position | undefined): ResumeAnswer {
    const { epoch, offset, truncatedAt } = this.#log;
    if (at === undefined) return { resumed: false, reason: "new" };
    if (at.epoch !== epoch) return { resumed: false, reason: "epoch" };
    if (at.offset > offset) return { resumed: false, reason: "future" };
    if (at.offset < truncatedAt) return { resumed: false, reason: "truncated" };
    return { resumed: true };
  }

  /** Everything a new member is told before it is live, in the order of J1. Then it is live. */
  catchUp(member: Member, at: Position | undefined): void {
    const { resumed } = this.resume(at);
    if (member.hasPresence) member.push("presence_state", this.#presence([...this.#metas.keys()]));
    const since = at !== undefined && at.epoch === this.#log.epoch && at.offset <= this.#log.offset ? at.offset : 0;
    for (const collection of member.collections) {
      const isHeld = at?.collections === undefined || at.collections.includes(collection);
      this.#pushPages(member, collection, isHeld ? since : 0);
    }
    if (resumed && at !== undefined) {
      for (const message of this.#log.messages) if (message.offset > at.offset) member.push("broadcast", bodyOf(message, true));
    }
    member.push("synced", this.#synced(member.client));
    this.#members.add(member);
  }

  leave(member: Member): void {
    this.#members.delete(member);
    this.untrack(member);
  }

  /** Logs a message once per id (B2) and hands it to the members. */
  publish(body: Readonly<Record<string, unknown>>, id: string, from: Member | undefined): number {
    const known = this.#log.messages.find((message) => message.id === id);
    if (known !== undefined) return known.offset;
    const message = { offset: ++this.#log.offset, id, body };
    this.#log.messages.push(message);
    this.#toOthers(from, bodyOf(message, false));
    return message.offset;
  }

  /** Delivers without logging (B4). */
  send(body: Readonly<Record<string, unknown>>, id: string, from: Member): void {
    this.#toOthers(from, { ...body, meta: { id } });
  }

  mutate(m: FakeMutation, sub: string, fault: () => WireError | undefined): { ok: WireOutcome } | { error: WireRefusal } {
    const row = this.#log.rows.get(m.client);
    const answer = admit(row, m, sub);
    if (answer !== undefined) return "error" in answer ? answer : { ok: answer.repeat };
    const records = this.#recordsOf(m.collection);
    const offset = ++this.#log.offset;
    const { record, change, outcome } = decide(m, { record: records.get(m.record), sub, now: this.#now(), offset, fault });
    if (record !== undefined) {
      records.set(m.record, record);
      this.#log.applied.set(m.id, this.timesApplied(m.id) + 1);
    }
    this.#log.rows.set(m.client, rowAfter(row, sub, outcome));
    this.#pushChange(change);
    return { ok: outcome };
  }

  track(member: Member, meta: Json & object): void {
    const old = this.#metas.get(member);
    member.hasPresence = true;
    const leaves = this.#presence(old === undefined ? [] : [member]);
    const before = old === undefined ? {} : { phx_ref_prev: (old as { phx_ref: string }).phx_ref };
    this.#metas.set(member, { ...meta, phx_ref: `ref-${++this.#refs}`, ...before });
    this.#pushDiff(this.#presence([member]), leaves);
  }

  untrack(member: Member): void {
    if (!this.#metas.has(member)) return;
    const leaves = this.#presence([member]);
    this.#metas.delete(member);
    this.#pushDiff({}, leaves);
  }

  // ---- inside

  #recordsOf(collection: string): Map<string, WireRecord> {
    let records = this.#log.records.get(collection);
    if (records === undefined) {
      records = new Map();
      this.#log.records.set(collection, records);
    }
    return records;
  }

  #pushPages(member: Member, collection: string, since: number): void {
    const reset = since === 0;
    const records = this.records(collection).filter(({ version, deleted }) =>
      reset ? deleted === undefined : version > since,
    );
    if (records.length === 0 && !reset) return;
    for (let at = 0; at === 0 || at < records.length; at += PAGE) {
      const page = { collection, reset: reset && at === 0, offset: this.#log.offset, records: records.slice(at, at + PAGE) };
      member.push("records", { ...page, more: at + PAGE < records.length });
    }
  }

  #synced(client: string): WireSynced {
    const { epoch, offset, rows } = this.#log;
    const { last = 0, outcomes = [] } = rows.get(client) ?? {};
    return { epoch, offset, last, outcomes };
  }

  /** Applied changes are everybody's (M7), other outcomes their author's (M8). */
  #pushChange(change: WireChange): void {
    for (const member of this.#members) {
      if (!member.collections.includes(change.collection)) continue;
      if (change.status === "applied" || change.client === member.client) member.push("change", change);
    }
  }

  #toOthers(from: Member | undefined, body: unknown): void {
    for (const member of this.#members) if (member !== from || member.isSelf) member.push("broadcast", body);
  }

  /** In Phoenix's form: `{ key: { metas: […] } }`. */
  #presence(members: readonly Member[]): Record<string, { metas: Json[] }> {
    const state: Record<string, { metas: Json[] }> = {};
    for (const member of members) {
      const meta = this.#metas.get(member);
      if (meta === undefined) continue;
      const entry = state[member.presenceKey] ?? { metas: [] };
      entry.metas.push(meta);
      state[member.presenceKey] = entry;
    }
    return state;
  }

  #pushDiff(joins: object, leaves: object): void {
    for (const member of this.#members) if (member.hasPresence) member.push("presence_diff", { joins, leaves });
  }
}

function emptyLog(epoch: string): Log {
  return { epoch, offset: 0, messages: [], truncatedAt: 0, records: new Map(), rows: new Map(), applied: new Map() };
}

function bodyOf({ body, id, offset }: LoggedMessage, isReplayed: boolean) {
  return { ...body, meta: { id, offset, ...(isReplayed && { replayed: true }) } };
}
