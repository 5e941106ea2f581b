import { Listeners, type Report } from "../store";
import type { CollectionSnapshot, MutationFailure, Rec, RecordShape, RecordStatus, Store } from "../types";
import type { Base } from "./base";
import { freeze, isSameJson } from "./json";
import type { Outbox } from "./outbox";
import { reduce } from "./reduce";
import type { WireRecord } from "./wire";

/** What a view shows records with. */
export interface ViewSource {
  readonly collection: string;
  readonly base: Base;
  readonly outbox: Outbox;
  clientId(): string;
  subject(): string;
  readonly report: Report;
}

/**
 * What an app sees of a collection: what the server told, and this client's unsettled writes done to that.
 *
 * Only records that were touched are computed anew. A record, and each part of the snapshot, is the same object until it changes.
 * `refresh` changes what is shown, `tell` says so: a frame that touches several records is one notification.
 */
export class View<T extends RecordShape> implements Store<CollectionSnapshot<T>> {
  readonly #source: ViewSource;
  readonly #listeners: Listeners<[]>;
  readonly #shown = new Map<string, Rec<T>>();
  readonly #status = new Map<string, RecordStatus>();
  readonly #failed = new Map<string, MutationFailure>();
  #snapshot: CollectionSnapshot<T> = freeze({
    records: [],
    byId: new Map(),
    status: new Map(),
    isLoading: true,
    isStale: false,
  });
  #isRecordsStale = false;
  /** Records have come or gone, so that the list has to be ordered anew. */
  #isOrderStale = false;
  #isStatusStale = false;
  #isUntold = false;
  /** What the listeners know of that. */
  #told = { isLoading: true, isStale: false };

  constructor(source: ViewSource) {
    this.#source = source;
    this.#listeners = new Listeners(source.report);
  }

  readonly subscribe = (listener: () => void) => this.#listeners.add(listener);

  readonly getSnapshot = (): CollectionSnapshot<T> => {
    if (this.#isStale()) this.#snapshot = this.#take();
    return this.#snapshot;
  };

  /** The record as it is visible, with its stamps; also when it is deleted. */
  recordOf(id: string): WireRecord | undefined {
    const { base, outbox, collection } = this.#source;
    const subject = this.#source.subject();
    let record = base.get(id);
    for (const { write } of outbox.of(collection, id)) {
      record = reduce(record, write, `${write.at}@${this.#source.clientId()}`, { subject, now: write.time }).record;
    }
    return record;
  }

  /** Computes records anew. */
  refresh(ids: Iterable<string>): void {
    for (const id of ids) {
      this.#refreshRecord(id);
      this.#refreshStatus(id);
    }
  }

  /** Remembers a refused write, or forgets it. */
  setFailed(id: string, failure: MutationFailure | undefined): void {
    if (failure === undefined) this.#failed.delete(id);
    else this.#failed.set(id, failure);
    this.#refreshStatus(id);
  }

  /** Tells the listeners when something has changed since they were told. */
  tell(): void {
    if (!this.#isUntold && this.#isAsIn(this.#told)) return;
    this.#isUntold = false;
    this.#told = this.#phase();
    this.#listeners.tell();
  }

  #refreshRecord(id: string): void {
    const old = this.#shown.get(id);
    const record = this.recordOf(id);
    if (record === undefined || record.deleted !== undefined) {
      if (!this.#shown.delete(id)) return;
      this.#isOrderStale = true;
    } else {
      const shown = show<T>(record);
      if (isSameJson(old, shown)) return;
      this.#shown.set(id, shown);
      if (old === undefined) this.#isOrderStale = true;
    }
    this.#isRecordsStale = this.#isUntold = true;
  }

  #refreshStatus(id: string): void {
    const old = this.#status.get(id);
    const pending = this.#source.outbox.of(this.#source.collection, id).length;
    const failed = this.#failed.get(id);
    if (old === undefined ? pending === 0 && failed === undefined : old.pending === pending && old.failed === failed) return;
    if (pending === 0 && failed === undefined) this.#status.delete(id);
    else this.#status.set(id, Object.freeze({ pending, ...(failed !== undefined && { failed }) }));
    this.#isStatusStale = this.#isUntold = true;
  }

  #isStale(): boolean {
    return this.#isRecordsStale || this.#isStatusStale || !this.#isAsIn(this.#snapshot);
  }

  /** How far the collection has been loaded. */
  #phase() {
    const { isLoaded, isStale } = this.#source.base;
    return { isLoading: !isLoaded, isStale };
  }

  #isAsIn({ isLoading, isStale }: { readonly isLoading: boolean; readonly isStale: boolean }): boolean {
    const phase = this.#phase();
    return phase.isLoading === isLoading && phase.isStale === isStale;
  }

  #take(): CollectionSnapshot<T> {
    const old = this.#snapshot;
    const status = this.#isStatusStale ? new Map(this.#status) : old.status;
    let { records, byId } = old;
    if (this.#isRecordsStale) {
      byId = new Map(this.#shown);
      const list = this.#isOrderStale
        ? [...byId.values()].sort(byIdOrder)
        : records.map((record) => byId.get(record.id) ?? record);
      records = Object.freeze(list);
    }
    this.#isRecordsStale = this.#isOrderStale = this.#isStatusStale = false;
    return Object.freeze({ records, byId, status, ...this.#phase() });
  }
}

/** Ids are ASCII, so this is the same order everywhere. */
function byIdOrder(a: { readonly id: string }, b: { readonly id: string }): number {
  return a.id < b.id ? -1 : 1;
}

function show<T extends RecordShape>(record: WireRecord): Rec<T> {
  const { id, version, createdAt, createdBy, updatedAt, updatedBy } = record;
  const sets = Object.entries(record.sets ?? {}).map(([name, elements]) => [name, [...elements].sort()] as const);
  const meta = { id, version, createdAt, createdBy, updatedAt, updatedBy };
  const shown = { ...record.fields, ...Object.fromEntries(sets), ...record.counters, ...meta };
  // What the fields are is the app's knowledge and the server's schema's.
  return freeze(shown) as unknown as Rec<T>;
}
