/** One counter of a record: what this client has counted. No clock, no socket. */
import type { Fate, Owner, Turn } from "./chain";

interface Count {
  readonly id: string;
  readonly by: number;
  /** A step's, while that can be taken back or done again. */
  owner?: Owner | undefined;
  /** Null for a count of its own; else what has counted back or forth, undefined for a correction. */
  readonly turn: Turn | undefined | null;
  /** Until it has settled. */
  isSent: boolean;
}

/**
 * Counts add, so they need no order: all that this client has counted, in the log and on its way, should be the sum of what stands.
 * Taking back, doing again and correcting are all the same: to count what is `due`.
 */
export class Tally {
  #counts: Count[] = [];
  /** Of counts that are settled for ever: their sum, and what they leave due. */
  #settled = 0;
  #left = 0;

  /** All that this client has counted; or what of that the log has. */
  total(isInLog: boolean): number {
    return this.#settled + sum(this.#counts.filter(({ isSent }) => !isInLog || !isSent));
  }

  /** What is to be counted. */
  get due(): number {
    return this.#left - sum(this.#counts.filter(isToBalance));
  }

  /** Whether nothing can come of it any more. */
  get isIdle(): boolean {
    return this.due === 0 && this.#counts.length === 0;
  }

  has(owner: Owner): boolean {
    return this.#counts.some((count) => count.owner === owner);
  }

  wrote(id: string, by: number, owner: Owner | undefined): void {
    this.#counts.push({ id, by, owner, turn: null, isSent: true });
  }

  /** What is due was counted: by this turn, or as a correction. */
  sent(id: string, turn: Turn | undefined): void {
    this.#counts.push({ id, by: this.due, turn, isSent: true });
  }

  settled(id: string, fate: Fate): void {
    const mine = this.#counts.filter((count) => count.id === id);
    if (fate === "applied" || fate === "lost") {
      for (const count of mine) count.isSent = false;
      return;
    }
    this.#counts = this.#counts.filter((count) => count.id !== id);
    for (const { turn } of mine) {
      if (turn === null || (turn ? turn.owner.turn !== turn : fate === "gone")) continue;
      for (const count of this.#counts) if (turn && count.owner === turn.owner) count.owner = undefined;
      this.#left -= this.due; // what the server has refused to count stays uncounted
    }
  }

  /** What is settled for ever is a number. */
  tidy(): void {
    this.#counts = this.#counts.filter((count) => {
      const { by, owner, isSent } = count;
      if (isSent || (owner && !owner.isGone)) return true;
      this.#settled += by;
      if (isToBalance(count)) this.#left -= by;
      return false;
    });
  }
}

/** What is there beside what stands. */
function isToBalance({ owner, turn }: Count): boolean {
  return turn !== null || owner?.stands === false;
}

function sum(counts: readonly Count[]): number {
  return counts.reduce((total, { by }) => total + by, 0);
}
