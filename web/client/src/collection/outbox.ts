import type { Outcome } from "../types";
import type { WireOutcome } from "./seam";
import { covers, encode, squash, type Write } from "./write";

/** How many writes may be on their way at once, in mutations. More would only wait in the server's queue. */
const WINDOW = 16;

/** A write that has not settled. */
export interface Entry {
  /** Replaced when a later write is squashed into it, which happens only before it was ever sent. */
  write: Write;
  /** Its number and its bytes, once it may have been sent. */
  frozen?: Frozen;
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

  get size(): number {
    return this.#frozen.length + this.#waiting.size;
  }

  /** Entries that have a number, in its order. */
  get frozen(): readonly FrozenEntry[] {
    return this.#frozen;
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
    this.#waiting.add(entry);
    if (others === undefined) this.#byRecord.set(key, [entry]);
    else others.push(entry);
    return entry;
  }

  /** Only what was never sent, only patches, and only when the newer one writes all of the older one again. */
  #maySquash(older: Entry, newer: Write): boolean {
    if (older.frozen !== undefined || this.#wasSent.has(older)) return false;
    const isPlainPatch = ({ op, ifVersion }: Write) => op === "patch" && ifVersion === undefined;
    return isPlainPatch(older.write) && isPlainPatch(newer) && covers(newer, older.write);
  }

  /** Freezes as many waiting writes as the window has room for. */
  freeze(client: string): void {
    for (const entry of this.#waiting) {
      if (this.#frozen.length >= WINDOW) return;
      this.#waiting.delete(entry);
      const n = this.#next++;
      entry.frozen = { n, bytes: encode(entry.write, client, n) };
      this.#frozen.push(entry as FrozenEntry);
    }
  }

  byNumber(n: number): FrozenEntry | undefined {
    return this.#frozen.find((entry) => entry.frozen.n === n);
  }

  /** Takes a settled entry out. */
  remove(entry: Entry): void {
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
   * Hears that the server's log ends at number `last` of this client. False when that does not fit the numbers that were given: then
   * the log has lost some, and only a new client id helps.
   */
  continueAfter(last: number): boolean {
    const expected = this.#frozen[0]?.frozen.n ?? this.#next;
    // More than was given here: an earlier store of this channel had the same client id.
    if (this.#frozen.length === 0 && last >= this.#next) this.#next = last + 1;
    return expected <= last + 1;
  }

  /** Takes all numbers back. Writes keep their order, their ids and their bytes but for client and number. */
  renumber(): void {
    for (const entry of this.#frozen) {
      this.#wasSent.add(entry);
      delete (entry as Entry).frozen;
    }
    this.#waiting = new Set([...this.#frozen, ...this.#waiting]);
    this.#frozen.length = 0;
    this.#next = 1;
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
