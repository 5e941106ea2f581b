/**
 * Undo and redo of what this client writes to collections. Loaded only by who uses it.
 */
export type { SkipReason } from "./ledger";
export type { ChangedRecord, Skipped, Undo, UndoableCollection, Undone, UndoOptions, UndoState } from "./types";
export { createUndo } from "./undo";
