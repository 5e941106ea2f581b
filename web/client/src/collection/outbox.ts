import type { ChannelKeeper, KeptWrite } from "../keeper";
import type { Outcome } from "../types";
import type { WireOutcome } from "./wire";
import { covers, decode, encode, squash, type Write } from "./write";

/** How many writes may be on their way at once, in mutations. More would only wait in the server's queue. */
export const WINDOW = 16;

/** A write that has not settled. */
export interface Entry {
  /** Replaced when a later write is squashed into it, which happens only before it was ever sent. */
  write: Write;
  /** Its number and its bytes, once it may have been sent. */
  frozen?: Frozen;
  /** The same from the beginning, for a write that is kept on the device: what is kept under a number is not to change any more. */
  kept?: KeptWrite;
  readonly settled: Promise<Outcome>;
  readonly resolve: (outcome: Outcome) => void;
}

export interface Frozen {
  readonly n: number;
  readonly bytes: string;
  /** The server's answer, when it came before the stream was as far. */
  answer?: WireOutcome;
}

/** An entry that has a number. */
export type FrozenEntry = Entry & { frozen: Frozen };

/**
 * What this client hopes: its unsettled writes to one channel, in the order in which they were made.
 *
 * A write waits, is frozen, and is settled. Freezing gives it the next number and its bytes, and from then on that number means those
 * bytes: whether the server had them or not, sending them again does no harm (M1, R4). Numbers are given anew only under a new
 * client id.
 *
 * With a keeper a write has its number and its bytes from the start, and is kept with them. Writes that were kept by a tab which is
 * gone have the client id of that tab. They are sent under it, and nothing else ever is: numbers are given under the own client id only,
 * so it does no harm when two tabs send the same ones.
 */
export class Outbox {
  /** In order of n. */
  readonly #frozen: FrozenEntry[] = [];
  /** A set, because it keeps the order and gives its first away cheaply, however much was written offline. */
  #waiting = new Set<Entry>();
  readonly #byRecord = new Map<string, Entry[]>();
  /** Sent under an earlier client id: what was sent is not changed, even if it gets another number. */
  readonly #wasSent = new WeakSet<Entry>();
  #next = 1;
  readonly #keeper: ChannelKeeper | undefined;
  /** Under which client id numbers are given, when they are given at once. */
  #own: string;

  constructor(client: string, keeper?: ChannelKeeper) {
    this.#own = client;
    this.#keeper = keeper;
  }

  get size(): number {
    return this.#frozen.length + this.#waiting.size;
  }

  /** Entries that have a number, in its order. */
  get frozen(): readonly FrozenEntry[] {
    return this.#frozen;
  }

  /** The client id under which the oldest write is to be sent; the own one when nothing waits. */
  get client(): string {
    const [waiting] = this.#waiting;
    return (this.#frozen[0] ?? waiting)?.kept?.client ?? this.#own;
  }

  /** Unsettled writes to a record, oldest first. */
  of(collection: string, record: string): readonly Entry[] {
    return this.#byRecord.get(keyOf(collection, record)) ?? [];
  }

  /** Takes a write: into the record's newest entry where nobody can tell the difference, else as an entry of its own. */
  add(write: Write): Entry {
    const key = keyOf(write.collection, write.record);
    const others = this.#byRecord.get(key);
    const newest = others?.at(-1);
    if (newest !== undefined && this.#maySquash(newest, write)) {
      newest.write = squash(newest.write, write);
      return newest;
    }
    const entry = entryOf(write);
    if (this.#keeper !== undefined) this.#keep([entry], this.#own, this.#next++);
    this.#waiting.add(entry);
    if (others === undefined) this.#byRecord.set(key, [entry]);
    else others.push(entry);
    return entry;
  }

  /**
   * Takes writes that were kept by a tab which is gone. Those that are there from the start go before what was written since, to which
   * they may be the ground.
   */
  adopt(writes: readonly KeptWrite[], isFirst: boolean): readonly Entry[] {
    const known = new Set(this.all().map(({ write }) => write.id));
    const entries = writes.filter(({ id }) => !known.has(id)).map((kept) => ({ ...entryOf(decode(kept)), kept }));
    this.#waiting = new Set(isFirst ? [...entries, ...this.#waiting] : [...this.#waiting, ...entries]);
    this.#byRecord.clear();
    for (const entry of this.all()) {
      const key = keyOf(entry.write.collection, entry.write.record);
      this.#byRecord.set(key, [...(this.#byRecord.get(key) ?? []), entry]);
    }
    return entries;
  }

  /** Gives numbers from `n` on, and has the writes kept under them. */
  #keep(entries: readonly Entry[], client: string, n: number): void {
    const kept = entries.map((entry, at) => {
      const { id, time, written } = entry.write;
      entry.kept = { ...{ id, client, time, written }, n: n + at, bytes: encode(entry.write, client, n + at) };
      return entry.kept;
    });
    this.#keeper?.keep(kept);
  }

  /** Only what was never sent, only patches, and only when the newer one writes all of the older one again. */
  #maySquash(older: Entry, newer: Write): boolean {
    if (older.frozen !== undefined || older.kept !== undefined || this.#wasSent.has(older)) return false;
    const isPlainPatch = ({ op, ifVersion }: Write) => op === "patch" && ifVersion === undefined;
    return isPlainPatch(older.write) && isPlainPatch(newer) && covers(newer, older.write);
  }

  /** Freezes as many waiting writes as the window has room for. Of those that have a number already, all up to another client id. */
  freeze(client: string): void {
    for (const entry of this.#waiting) {
      const { kept } = entry;
      if (kept === undefined ? this.#frozen.length >= WINDOW : kept.client !== client) return;
      this.#waiting.delete(entry);
      const n = kept?.n ?? this.#next++;
      entry.frozen = { n, bytes: kept?.bytes ?? encode(entry.write, client, n) };
      this.#frozen.push(entry as FrozenEntry);
    }
  }

  byNumber(n: number): FrozenEntry | undefined {
    return this.#frozen.find((entry) => entry.frozen.n === n);
  }

  /** Takes a settled entry out. */
  remove(entry: Entry): void {
    this.#keeper?.forget(entry.write.id);
    this.#waiting.delete(entry);
    const at = this.#frozen.indexOf(entry as FrozenEntry);
    if (at >= 0) this.#frozen.splice(at, 1);
    const key = keyOf(entry.write.collection, entry.write.record);
    const others = this.#byRecord.get(key)?.filter((other) => other !== entry) ?? [];
    if (others.length > 0) this.#byRecord.set(key, others);
    else this.#byRecord.delete(key);
  }

  /** Takes one number back: the server has used it for something else. The write waits again, before all that wait. */
  takeBack(entry: FrozenEntry): void {
    this.#wasSent.add(entry);
    this.#frozen.splice(this.#frozen.indexOf(entry), 1);
    delete (entry as Entry).frozen;
    this.#waiting = new Set([entry, ...this.#waiting]);
  }

  /** All entries, oldest first. */
  all(): readonly Entry[] {
    return [...this.#frozen, ...this.#waiting];
  }

  /**
   * Hears that the server's log ends at number `last` of a client. False when that does not fit the numbers that were given: then
   * the log has lost some, and only a new client id helps.
   */
  continueAfter(last: number, client: string): boolean {
    const [first] = this.#frozen;
    if (first !== undefined) return first.frozen.n <= last + 1;
    if (this.#keeper !== undefined && client !== this.#own) return true;
    // More than was given here: an earlier store of this channel had the same client id.
    if (last >= this.#next) this.#next = last + 1;
    return this.#next <= last + 1;
  }

  /**
   * Takes all numbers back that were given under a client id; another takes its place. Writes keep their order, their ids and their
   * bytes but for client and number.
   */
  renumber(client: string, instead: string): void {
    for (const entry of this.#frozen) {
      this.#wasSent.add(entry);
      delete (entry as Entry).frozen;
    }
    this.#waiting = new Set([...this.#frozen, ...this.#waiting]);
    this.#frozen.length = 0;
    const renamed = [...this.#waiting].filter(({ kept }) => kept?.client === client);
    this.#keep(renamed, instead, 1);
    if (this.#keeper !== undefined && client !== this.#own) return;
    this.#own = instead;
    this.#next = renamed.length + 1;
  }
}

function keyOf(collection: string, record: string): string {
  return `${collection}/${record}`;
}

function entryOf(write: Write): Entry {
  let resolve: (outcome: Outcome) => void = () => {};
  const settled = new Promise<Outcome>((done) => {
    resolve = done;
  });
  return { write, settled, resolve };
}
