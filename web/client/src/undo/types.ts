import type { CollectionInside } from "../collection/seam";
import type { CollectionSnapshot, Outcome, Store } from "../types";
import type { SkipReason } from "./ledger";

/** A collection whose writes can be taken back: one of a channel, or one that is checked by a schema. */
export interface UndoableCollection {
  readonly name: string;
  readonly snapshot: Store<Pick<CollectionSnapshot<object>, "status">>;
  readonly inside?: CollectionInside;
}

export interface UndoOptions {
  /** How many steps are kept; the oldest is forgotten. Default 100. */
  readonly limit?: number;
  /**
   * Edits of one record that follow each other within this time are one step, as typing is: at most for twenty times as long. Default
   * 500 ms; 0 makes each write a step.
   */
  readonly captureMs?: number;
}

export interface UndoState {
  readonly canUndo: boolean;
  readonly canRedo: boolean;
}

/** Something that was left as it is. */
export interface Skipped {
  readonly collection: string;
  readonly recordId: string;
  /** The field or the set; without one it is all of the record. */
  readonly name?: string;
  /**
   * `changed`: somebody else has written it since. `deleted`: the record is. `unset`: the field had no value before, and a record cannot
   * lose a field. `refused`: the server has refused it, see `outcome`.
   */
  readonly reason: SkipReason;
  /** The server's word, where it was the server that left it. */
  readonly outcome?: Outcome;
}

/** A record that was written. */
export interface ChangedRecord {
  readonly collection: string;
  readonly recordId: string;
  readonly op: "patch" | "delete" | "restore";
}

/** What became of taking a step back, or doing it again. It is shown already. */
export interface Undone {
  readonly changed: readonly ChangedRecord[];
  readonly skipped: readonly Skipped[];
  /** Settles when the server has said what became of it: all that was skipped, now or by the server. Never rejects. */
  readonly settled: Promise<readonly Skipped[]>;
}

/** Takes back what this client wrote, and nothing else. */
export interface Undo {
  readonly state: Store<UndoState>;
  /** Takes the newest step back. Undefined when there is none. */
  undo(): Undone | undefined;
  /** Does again what was taken back last. Any other write ends that possibility. */
  redo(): Undone | undefined;
  /** Makes all writes in `act`, until it returns, one step. */
  group<R>(act: () => R): R;
  /** Writes in `act`, until it returns, cannot be taken back. */
  untracked<R>(act: () => R): R;
  /** Forgets all steps. */
  clear(): void;
  /** Forgets all steps and listens no more. Idempotent. */
  close(): void;
}
