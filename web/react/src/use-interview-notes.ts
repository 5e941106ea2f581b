import type { ChoraleErrorLike, Conflict, Mutation, Patch, Rec, RecordStatus } from "@chorale/client";
import { useMemo, useState } from "react";
import { byTimeInRecording, extendEach, type Note, type NoteFields } from "./interviews.ts";
import { useConflicts } from "./use-client-event.ts";
import { useCollection } from "./use-collection.ts";
import { useConnection } from "./use-connection.ts";
import { type PresenceState, type UsePresence, usePresence } from "./use-presence.ts";

export interface InterviewNotesOptions {
  /** Undefined while the app does not know it yet: nothing is joined, and there are no notes. */
  interviewId: string | undefined;
  /** Shown until the server's notes are there, e.g. what a server rendered. Read when the interview changes. */
  initialNotes?: readonly Note[];
  /** Somebody's concurrent edit of a note won over yours; both texts are in the conflict. */
  onConflict?: (conflict: Conflict) => void;
  /** Takes part in the interview's presence with this state. Without it `presence` is empty and costs nothing. Read at first. */
  presence?: PresenceState;
}

export interface UseInterviewNotes {
  /** In the order of the recording, own unsettled writes included. A note is the same object until it changes. */
  readonly notes: readonly Note[];
  /** True until the server's notes are there. */
  readonly isLoading: boolean;
  readonly isConnected: boolean;
  readonly error: ChoraleErrorLike | undefined;
  /** The note is in `notes` at once; `settled` says what the server made of it. */
  readonly addNote: (note: NewNote) => Mutation;
  readonly updateNote: (id: string, patch: Patch<NoteFields>) => Mutation;
  readonly deleteNote: (id: string) => Mutation;
  /** Undoes a deletion, also somebody else's; `patch` puts your text back in the same write. */
  readonly restoreNote: (id: string, patch?: Patch<NoteFields>) => Mutation;
  /** Undefined when all writes to the note have settled; `failed` has the text of a refused one. */
  readonly noteStatus: (id: string) => RecordStatus | undefined;
  /** Forgets a refused write. */
  readonly dismiss: (id: string) => void;
  readonly presence: UsePresence;
}

/** A note to be made. Without tags it has none. */
export type NewNote = Omit<NoteFields, "tags"> & { id?: string; tags?: readonly string[] };

const NO_NOTES: readonly Note[] = Object.freeze([]);

/**
 * The notes of an interview, live: the collection `notes` of the channel `interview:{id}`. Everything it returns but `notes`,
 * `noteStatus`, `presence` and the flags is stable.
 */
export function useInterviewNotesBroadcast(options: InterviewNotesOptions): UseInterviewNotes {
  const { interviewId, onConflict } = options;
  const channel = interviewId === undefined ? undefined : `interview:${interviewId}`;
  const {
    records,
    status,
    isLoading,
    error,
    add,
    patch,
    delete: remove,
    restore,
    dismiss,
  } = useCollection<NoteFields>(channel, "notes");
  const isConnected = useConnection((connection) => connection.isConnected);
  const connectionError = useConnection((connection) => connection.error);
  const presence = usePresence(options.presence && channel, options.presence);
  const initial = useInitialNotes(interviewId, options.initialNotes);
  useConflicts((conflict) => {
    if (conflict.channel === channel && conflict.collection === "notes") onConflict?.(conflict);
  });

  const toNote = useMemo(
    () =>
      extendEach((record: Rec<NoteFields>) => ({
        interviewId: interviewId ?? "",
        authorId: record.createdBy,
        tags: record.tags ?? [],
      })),
    [interviewId],
  );
  const notes = useMemo(() => {
    const live = records.map(toNote);
    if (!isLoading || initial === NO_NOTES) return live.sort(byTimeInRecording);
    const ids = new Set(live.map((note) => note.id));
    return [...initial.filter((note) => !ids.has(note.id)), ...live].sort(byTimeInRecording);
  }, [records, toNote, isLoading, initial]);

  return useMemo(
    () => ({
      notes,
      isLoading,
      isConnected,
      error: error ?? connectionError,
      addNote: (note) => add({ ...note, tags: note.tags ?? [] }),
      updateNote: patch,
      deleteNote: remove,
      restoreNote: restore,
      noteStatus: (id) => status.get(id),
      dismiss,
      presence,
    }),
    [notes, isLoading, isConnected, error, connectionError, add, patch, remove, restore, status, dismiss, presence],
  );
}

/** `useInterviewNotesBroadcast` by the interview's id. */
export function useInterviewNotesRealtime(
  interviewId: string | undefined,
  options: Omit<InterviewNotesOptions, "interviewId"> = {},
): UseInterviewNotes {
  return useInterviewNotesBroadcast({ ...options, interviewId });
}

/** The first notes given for an interview: a caller may make a new array in each render. */
function useInitialNotes(interviewId: string | undefined, given: readonly Note[] = NO_NOTES): readonly Note[] {
  const [initial, setInitial] = useState({ interviewId, notes: given });
  if (initial.interviewId === interviewId) return initial.notes;
  setInitial({ interviewId, notes: given });
  return given;
}
