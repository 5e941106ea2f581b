import { HybridClock, timeOf } from "../hlc";
import type { KeptChannel, KeptWrite } from "../keeper";
import { Listeners, ValueStore } from "../store";
import type { Collection, Mutation, MutationFailure, MutationOp, Outcome, RecordShape } from "../types";
import { Base, newestStamp } from "./base";
import { type FieldConflict, lostBy, OwnFields } from "./conflicts";
import { byteLength, toJson } from "./json";
import { type Entry, type FrozenEntry, Outbox } from "./outbox";
import { reduce } from "./reduce";
import type { ChannelStore, CollectionInside, StoreHost, WriteListener, WriteTerms } from "./seam";
import { Sender } from "./sender";
import { View } from "./view";
import type { RecordsPage, WireChange, WireOutcome, WireRecord, WireSynced } from "./wire";
import { contentOf, isEmpty, NOTHING, type Write } from "./write";

/** Makes the store of one channel: its collections, and this client's unsettled writes to them. */
export function createChannelStore(host: StoreHost): ChannelStore {
  return new RecordStore(host);
}

/** One collection: what was told, what is shown, and the handle that apps have. */
interface Kept {
  readonly base: Base;
  readonly view: View<RecordShape>;
  readonly ownFields: OwnFields;
  readonly handle: Collection;
  /** Who hears of this client's writes. */
  readonly hearers: Listeners<Parameters<WriteListener>>;
}

/** Room for what a server adds to a record: versions, names, stamps of the metadata. Bytes. */
const RECORD_MARGIN = 512;

/**
 * Joins the three questions: what we were told (Base), what we hope (Outbox, Sender), what is shown (View).
 *
 * Every entry point does the same: it changes told and hoped, refreshes what that touched, and only then tells anybody. So listeners
 * never see a state in between, and may write in their turn.
 */
class RecordStore implements ChannelStore {
  readonly #host: StoreHost;
  readonly #collections = new Map<string, Kept>();
  readonly #outbox: Outbox;
  readonly #sender: Sender;
  readonly #clock = new HybridClock();
  readonly #pending: ValueStore<number>;
  /** What was kept of collections that nobody has asked for yet. */
  #unasked: KeptChannel["collections"] = new Map();
  /** Collections that are told anew. */
  readonly #resets = new Set<string>();
  /** The client ids that this channel has had: what their stamps say was written by this client. */
  readonly #clients = new Set<string>();
  /** How far the stream of changes has come. */
  #seen = 0;
  /** What to say when the state is whole again. */
  #after: (() => void)[] = [];

  constructor(host: StoreHost) {
    this.#host = host;
    this.#pending = new ValueStore(0, host.reportError);
    this.#outbox = new Outbox(host.clientId(), host.keeper);
    this.#sender = new Sender(host, this.#outbox, {
      answered: (entry, outcome) => this.#onAnswer(entry, outcome),
      refused: (entry, { code, message }) => this.#change(() => this.#settle(entry, { status: "rejected", code, message })),
      disowned: ({ code, message }) => this.#settleAll({ status: "rejected", code, message }),
    });
  }

  get pendingCount() {
    return this.#pending;
  }

  names(): readonly string[] {
    return [...this.#collections.keys()];
  }

  loaded(): readonly string[] {
    return [...this.#collections].filter(([, { base }]) => base.isLoaded).map(([name]) => name);
  }

  collection<T extends RecordShape>(name: string): Collection<T> {
    let kept = this.#collections.get(name);
    if (kept === undefined) {
      kept = this.#keep(name);
      this.#collections.set(name, kept);
      this.#fill(name, kept);
      this.#host.collectionsChanged();
    }
    // Which shape the records of a name have is the app's knowledge.
    return kept.handle as unknown as Collection<T>;
  }

  told(collection: string): ReadonlyMap<string, WireRecord> {
    return this.#kept(collection).base.records;
  }

  restore({ position, collections, writes }: KeptChannel): void {
    this.#unasked = collections;
    this.#seen = position?.offset ?? 0;
    this.#change(() => {
      for (const [name, kept] of this.#collections) this.#fill(name, kept);
      this.#adopt(writes, true);
    });
    if (this.#outbox.client !== this.#host.clientId()) this.#host.renewClient(this.#outbox.client);
  }

  adopt(writes: readonly KeptWrite[]): void {
    this.#change(() => this.#adopt(writes, false));
    this.#sender.send();
  }

  #adopt(writes: readonly KeptWrite[], isFirst: boolean): void {
    for (const { write } of this.#outbox.adopt(writes, isFirst)) {
      this.#clock.goOnAfter(write.at);
      this.collection(write.collection);
      this.#kept(write.collection).view.refresh([write.record]);
    }
  }

  /** Shows a collection as it was kept, until the server tells of it. */
  #fill(name: string, { base, view }: Kept): void {
    const records = this.#unasked.get(name);
    if (records === undefined) return;
    base.fill(records, this.#seen);
    for (const record of records) this.#clock.receive(timeOf(newestStamp(record)));
    view.refresh(base.records.keys());
  }

  onRecords(page: RecordsPage): void {
    if (page.reset) this.#resets.add(page.collection);
    this.#collections.get(page.collection)?.base.stage(page);
  }

  onChange(change: WireChange): void {
    this.#change(() => {
      this.#seen = Math.max(this.#seen, change.offset);
      const kept = this.#collections.get(change.collection);
      const transition = change.status === "applied" ? kept?.base.apply(change) : undefined;
      if (transition?.after !== undefined) this.#clock.receive(timeOf(newestStamp(transition.after)));
      kept?.view.refresh([change.record]);
      if (transition !== undefined) this.#host.keeper?.changed(change.collection, [change.record]);

      const entry = this.#entryOf(change);
      if (entry !== undefined) this.#settleBy(entry, change, transition?.before);
      else if (kept !== undefined && transition !== undefined) {
        this.#emitConflicts(change.collection, kept.ownFields.overriddenBy(change, transition));
      }
      // What was answered for a place up to here has no change of its own to wait for.
      for (const answered of [...this.#outbox.frozen]) {
        const { answer } = answered.frozen;
        if (answer !== undefined && answer.offset <= change.offset) this.#settleBy(answered, answer);
      }
    });
    this.#sender.send();
  }

  onSynced(synced: WireSynced): void {
    this.#change(() => {
      this.#seen = synced.offset;
      this.#unasked = new Map(); // was true of the position that is left now
      for (const [name, { base, view }] of this.#collections) {
        this.#clock.receive(base.newestTime());
        const touched = base.commit();
        view.refresh(touched);
        this.#host.keeper?.changed(name, touched, this.#resets.delete(name));
      }
      // What is kept may have been sent before, under this client id.
      if (this.#host.keeper !== undefined) this.#outbox.freeze(this.#host.clientId());
      for (const outcome of synced.outcomes) {
        const entry = this.#outbox.byNumber(outcome.n);
        if (entry !== undefined) this.#settleBy(entry, outcome);
      }
    });
    this.#sender.goLive(synced.last);
  }

  onDown(): void {
    this.#sender.stop();
  }

  onClosed(reason?: { code: string; message: string }): void {
    this.onDown();
    this.#settleAll(reason === undefined ? { status: "unknown" } : { status: "rejected", ...reason });
  }

  #keep(name: string): Kept {
    const host = this.#host;
    const base = new Base();
    const view = new View<RecordShape>({
      collection: name,
      base,
      outbox: this.#outbox,
      clientId: () => host.clientId(),
      subject: () => host.subject(),
      report: host.reportError,
    });
    const hearers: Kept["hearers"] = new Listeners(host.reportError);
    const write: CollectionInside["write"] = (...args) => this.#write(name, ...args);
    const handle: Collection = {
      name,
      snapshot: view,
      add: ({ id = host.uuid(), ...value }) => write("put", id, value),
      patch: (id, patch, options) => write("patch", id, patch, options),
      delete: (id) => write("delete", id),
      restore: (id, patch) => write("restore", id, patch),
      dismiss: (id) => {
        view.setFailed(id, undefined);
        view.tell();
      },
      inside: {
        write,
        recordOf: (id) => view.recordOf(id),
        isOwn: (stamp) => this.#clients.add(host.clientId()).has(stamp.slice(17)),
        onWrite: (listener) => hearers.add(listener),
        reportError: host.reportError,
      },
    };
    return { base, view, ownFields: new OwnFields(), handle, hearers };
  }

  #write(collection: string, op: MutationOp, record: string, value?: object, terms?: WriteTerms): Mutation {
    const { view, hearers } = this.#kept(collection);
    const visible = view.recordOf(record);
    const content = value === undefined ? NOTHING : contentOf(op, value, visible);
    const time = this.#host.now();
    const write: Write = {
      ...content,
      ...{ id: this.#host.uuid(), collection, record, op, time },
      at: this.#clock.tick(time),
      base: this.#host.offset(),
      ...terms,
    };
    if (op === "patch" && isEmpty(content) && isAlive(visible)) {
      return { id: write.id, recordId: record, settled: Promise.resolve({ status: "noop", offset: visible.version }) };
    }
    const entry = this.#change(() => {
      view.setFailed(record, undefined);
      const fault = this.#sizeFault(write, visible);
      if (fault !== undefined) return this.#refuse(write, fault);
      const added = this.#outbox.add(write);
      view.refresh([record]);
      this.#after.push(() => hearers.tell(added.write.id, write, visible));
      return added;
    });
    this.#sender.send();
    return { id: entry.write.id, recordId: record, settled: entry.settled };
  }

  /** What the server would say of the size, without sending it there. */
  #sizeFault(write: Write, visible: WireRecord | undefined): Outcome | undefined {
    const { recordBytes, frameBytes } = this.#host.limits();
    const allowed = Math.min(recordBytes, frameBytes) - RECORD_MARGIN;
    const stamp = `${write.at}@${this.#host.clientId()}`;
    const { record } = reduce(visible, write, stamp, { subject: this.#host.subject(), now: write.time });
    const { fields, sets, counters } = write;
    for (const part of [{ fields, sets, counters }, record]) {
      const text = JSON.stringify(part ?? null);
      // A UTF-16 unit is at most three bytes: most records need not be measured.
      if (text.length * 3 <= allowed || byteLength(text) <= allowed) continue;
      const message = `the record would have ${byteLength(text)} bytes; ${allowed} are allowed`;
      return { status: "rejected", code: "record_too_large", message };
    }
    return undefined;
  }

  /** A write that is not even sent. */
  #refuse(write: Write, outcome: Outcome): Pick<Entry, "write" | "settled"> {
    this.#report(write, outcome);
    return { write, settled: Promise.resolve(outcome) };
  }

  /** The unsettled write that a change tells about. */
  #entryOf(change: WireChange): FrozenEntry | undefined {
    if (change.client !== this.#host.clientId()) return undefined;
    const entry = this.#outbox.byNumber(change.n);
    if (entry === undefined || change.id === undefined || change.id === entry.write.id) return entry;
    // The number was used by an earlier store of this channel, whose frame came late. This write is not in the log.
    this.#sender.forget(change.n);
    this.#outbox.takeBack(entry);
    return undefined;
  }

  /**
   * An answer settles a write when the stream is past its place: then its change has been seen, or is in the records, or will not be
   * sent. Before that, the records would not show what the answer says.
   */
  #onAnswer(entry: FrozenEntry, answer: WireOutcome): void {
    entry.frozen.answer = answer;
    const upTo = this.#kept(entry.write.collection).base.upTo;
    if (answer.status !== "unknown" && answer.offset > Math.max(this.#seen, this.#host.offset(), upTo)) return;
    this.#change(() => this.#settleBy(entry, answer));
    this.#sender.send();
  }

  #settleBy(entry: FrozenEntry, verdict: WireOutcome | WireChange, before?: WireRecord): void {
    const outcome = outcomeOf(verdict);
    const { write } = entry;
    const { base, ownFields } = this.#kept(write.collection);
    const record = base.get(write.record);
    if (outcome.status === "applied" && record !== undefined)
      ownFields.note(record, write, outcome.offset, this.#host.clientId());
    this.#settle(entry, outcome, before);
    const lost = outcome.status === "superseded" ? Object.keys(write.written) : (verdict.lost ?? []);
    if (!write.isQuiet) this.#emitConflicts(write.collection, lostBy(write, lost, before ?? record, this.#host.subject()));
    // Everything of this client in the log has been heard, so its clock need not be ahead of that.
    if (this.#outbox.size === 0 && outcome.status !== "unknown") this.#clock.setBack();
  }

  #settle(entry: Entry, outcome: Outcome, before?: WireRecord): void {
    const { write } = entry;
    const { view, hearers } = this.#kept(write.collection);
    if (entry.frozen !== undefined) this.#sender.forget(entry.frozen.n);
    this.#outbox.remove(entry);
    view.refresh([write.record]);
    this.#after.push(
      () => entry.resolve(outcome),
      () => hearers.tell(write.id, write, before, outcome),
    );
    this.#report(write, outcome);
  }

  #settleAll(outcome: Outcome): void {
    this.#change(() => {
      for (const entry of this.#outbox.all()) this.#settle(entry, outcome);
    });
  }

  /** Tells the app of a write that came to nothing. A patch that lost to a newer one is a conflict, and no failure. */
  #report(write: Write, outcome: Outcome): void {
    if (write.isQuiet || outcome.status === "applied" || outcome.status === "noop") return;
    if (outcome.status === "superseded" && write.op === "patch") return;
    // What is kept will be sent again; what the log has forgotten the outcome of has most likely had its effect.
    if (outcome.status === "unknown" && this.#host.keeper !== undefined) return;
    const { collection, record: recordId, op, written: fields } = write;
    const failure: MutationFailure = { channel: this.#host.channel, collection, recordId, op, outcome, fields };
    this.#kept(collection).view.setFailed(recordId, failure);
    this.#after.push(() => this.#host.emit("mutationFailed", failure));
  }

  #emitConflicts(collection: string, conflicts: readonly FieldConflict[]): void {
    for (const conflict of conflicts) {
      this.#after.push(() => this.#host.emit("conflict", { channel: this.#host.channel, collection, ...conflict }));
    }
  }

  /** Changes the state, then tells everybody who should know. */
  #change<R>(act: () => R): R {
    this.#clients.add(this.#host.clientId());
    const result = act();
    for (const { view } of this.#collections.values()) view.tell();
    this.#pending.set(this.#outbox.size);
    const after = this.#after;
    this.#after = [];
    for (const tell of after) tell();
    return result;
  }

  /** A collection that was asked for: every write belongs to one. */
  #kept(name: string): Kept {
    const kept = this.#collections.get(name);
    if (kept === undefined) throw new Error(`collection ${name}: nobody has asked for it`);
    return kept;
  }
}

function isAlive(record: WireRecord | undefined): record is WireRecord {
  return record !== undefined && record.deleted === undefined;
}

/** The wire's outcome in the words of the public types. */
function outcomeOf(verdict: WireOutcome | WireChange): Outcome {
  const { status, offset } = verdict;
  switch (status) {
    case "applied":
      return { status, offset, ...(verdict.lost !== undefined && { lost: verdict.lost }) };
    case "rejected": {
      const { code = "rejected", message = "the server gave no reason", path } = verdict.error ?? {};
      // A change names its record and may bring its state; an outcome brings the record itself.
      const current = "collection" in verdict ? verdict.state : verdict.record;
      return {
        ...{ status, offset, code, message },
        ...(path !== undefined && { path }),
        ...(current !== undefined && { current: toJson(current) ?? null }),
      };
    }
    case "unknown":
      return { status };
    default:
      return { status, offset };
  }
}
