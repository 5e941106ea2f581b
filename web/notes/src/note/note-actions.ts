import type { Conflict, MutationFailure } from "@chorale/client";
import type { Note, NoteFields } from "@chorale/react";

/** What a card asks of its timeline. The same object in every render, so that cards can be memoised. */
export interface NoteActions {
  readonly update: (id: string, patch: Partial<NoteFields>) => void;
  readonly remove: (note: Note) => void;
  readonly restore: (id: string, patch?: Partial<NoteFields>) => void;
  /** Opens the editor, with a text that was left off earlier if there is one. */
  readonly edit: (note: Note, draft?: string) => void;
  /** Shows who changed the note, what and when. */
  readonly showHistory: (note: Note) => void;
  /** Closes the editor. `unsaved` is what the person had written and gave up. */
  readonly stopEditing: (note: Note, unsaved?: string) => void;
  /** Somebody is at it: tells the others. */
  readonly touch: (noteId: string) => void;
  readonly keepMine: (conflict: Conflict) => void;
  readonly dismissConflict: (conflict: Conflict) => void;
  /** Asks for a refused write once more. */
  readonly retry: (failure: MutationFailure) => void;
  readonly dismissRefusal: (id: string) => void;
}
