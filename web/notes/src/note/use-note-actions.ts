import type { Conflict, MutationFailure } from "@chorale/client";
import type { NewNote, Note, NoteFields, UseInterviewNotes } from "@chorale/react";
import { type Dispatch, type SetStateAction, useMemo } from "react";
import { useToast } from "../toast/toast.tsx";
import type { NoteActions } from "./note-actions.ts";
import type { Editing } from "./rows.ts";
import type { useDoing } from "./use-doing.ts";

interface Parts {
  notes: UseInterviewNotes;
  setEditing: Dispatch<SetStateAction<Editing | undefined>>;
  setConflicts: Dispatch<SetStateAction<readonly Conflict[]>>;
  /** Stable. */
  showHistory: (note: Note) => void;
  say: ReturnType<typeof useDoing>;
  /** Forgets that a write to a note was refused. Stable. */
  forget: (noteId: string) => void;
}

/** What can be done to the notes of an interview, with what the page says about it. Stable. */
export function useNoteActions({ notes, setEditing, setConflicts, showHistory, say, forget }: Parts): NoteActions {
  const toast = useToast();
  const { addNote, updateNote, deleteNote, restoreNote, dismiss } = notes;
  return useMemo(() => {
    const dismissConflict = (gone: Conflict) => setConflicts((conflicts) => conflicts.filter((conflict) => conflict !== gone));
    const dismissRefusal = (id: string) => {
      forget(id);
      dismiss(id);
    };
    const edit = (note: Note, draft?: string) => {
      setEditing(draft === undefined ? { note } : { note, draft });
      say("editing", note.id);
    };
    return {
      update: updateNote,
      restore: restoreNote,
      edit,
      showHistory,
      dismissConflict,
      dismissRefusal,
      touch: (noteId) => say("editing", noteId),
      stopEditing: (note, unsaved) => {
        setEditing((editing) => (editing?.note.id === note.id ? undefined : editing));
        say("reading");
        if (unsaved === undefined) return;
        toast({ text: "Your change was not saved", action: { label: "Keep editing", run: () => edit(note, unsaved) } });
      },
      remove: (note) => {
        const { settled } = deleteNote(note.id);
        const undo = () => void restoreNote(note.id);
        toast({ text: "Note deleted", action: { label: "Undo", testId: "note-undo", run: undo } });
        settled.then((outcome) => {
          if (outcome.status === "rejected") toast({ text: "The note is still there: it could not be deleted" });
        });
      },
      keepMine: (conflict) => {
        updateNote(conflict.recordId, { [conflict.field]: conflict.mine } as Partial<NoteFields>);
        dismissConflict(conflict);
      },
      retry: (failure) => {
        dismissRefusal(failure.recordId);
        writeAgain(failure, { addNote, updateNote, deleteNote, restoreNote });
      },
    };
  }, [addNote, updateNote, deleteNote, restoreNote, dismiss, setEditing, setConflicts, showHistory, say, forget, toast]);
}

type Writes = Pick<UseInterviewNotes, "addNote" | "updateNote" | "deleteNote" | "restoreNote">;

/** Asks for a refused write once more, as a new one. An edit of a deleted note brings it back. */
function writeAgain({ op, recordId, outcome, fields }: MutationFailure, writes: Writes): void {
  const patch = fields as Partial<NoteFields>;
  switch (op) {
    case "put":
      writes.addNote({ ...(fields as unknown as NewNote), id: recordId });
      return;
    case "patch":
      if (outcome.status === "gone") writes.restoreNote(recordId, patch);
      else writes.updateNote(recordId, patch);
      return;
    case "delete":
      writes.deleteNote(recordId);
      return;
    case "restore":
      writes.restoreNote(recordId, patch);
      return;
    default:
      op satisfies never;
  }
}
