import type { Conflict, RecordStatus } from "@chorale/client";
import { type InterviewNotes, type InterviewNotesSnapshot, type Note, openInterviewNotes } from "@chorale/client/notes";
import { useMemo, useState } from "react";
import { useRealtimeContext } from "./context.ts";
import { sourceOf } from "./held-store.ts";
import type { Opening } from "./holds.ts";
import { useConflicts } from "./use-client-event.ts";
import { type PresenceState, type UsePresence, usePresence } from "./use-presence.ts";
import { NONE, useHeld, useWrites } from "./use-store.ts";

export interface InterviewNotesOptions {
  /** Undefined while the app does not know it yet: nothing is joined, and there are no notes. */
  interviewId: string | undefined;
  /** Shown until the server's notes are there, e.g. what a server rendered. Read when the interview changes. */
  initialNotes?: readonly Note[];
  /** Somebody's concurrent edit of a note won over yours; both texts are in the conflict. */
  onConflict?: (conflict: Conflict) => void;
  /**
   * Takes part in the interview's presence with this state, and renders this component when somebody's presence changes. A list of
   * notes is better off without it, and with `usePresence` in the component that shows who is there.
   */
  presence?: PresenceState;
}

export interface UseInterviewNotes
  extends Pick<InterviewNotesSnapshot, "isLoading" | "isConnected" | "error">,
    Pick<InterviewNotes, "addNote" | "updateNote" | "deleteNote" | "restoreNote" | "dismiss"> {
  /** In the order of the recording, own unsettled writes included. A note is the same object until it changes. */
  readonly notes: readonly Note[];
  /** Undefined when all writes to the note have settled; `failed` has the text of a refused one. */
  readonly noteStatus: (id: string) => RecordStatus | undefined;
  /** Of whoever takes part; empty without the option `presence`. */
  readonly presence: UsePresence;
}

const STORE = /* @__PURE__ */ sourceOf((notes: InterviewNotes) => notes.store);
const NO_NOTES: readonly Note[] = /* @__PURE__ */ Object.freeze([]);
const empty = (isLoading: boolean): InterviewNotesSnapshot =>
  Object.freeze({
    notes: NO_NOTES,
    byId: NONE,
    status: NONE,
    isLoading,
    isConnected: false,
    error: undefined,
  });
const NOTHING = /* @__PURE__ */ empty(false);
const LOADING = /* @__PURE__ */ empty(true);

/** The notes of an interview, live, and what can be done to them. All functions but `noteStatus` are stable. */
export function useInterviewNotesBroadcast(options: InterviewNotesOptions): UseInterviewNotes {
  const { interviewId, onConflict } = options;
  const channel = interviewId === undefined ? undefined : `interview:${interviewId}`;
  const opening = useMemo(() => (interviewId === undefined ? undefined : notesOpening(interviewId)), [interviewId]);
  const snapshot = useHeld(opening, STORE, opening === undefined ? NOTHING : LOADING);
  const { isLoading, isConnected, error, status } = snapshot;
  const initial = useInitialNotes(interviewId, options.initialNotes);
  const notes = useMemo(() => (isLoading ? together(initial, snapshot) : snapshot.notes), [isLoading, initial, snapshot]);

  const actions = useNoteActions(opening);
  const presence = usePresence(options.presence && channel, options.presence);
  useConflicts((conflict) => {
    if (conflict.channel === channel && conflict.collection === "notes") onConflict?.(conflict);
  });

  return useMemo(() => {
    const noteStatus = (id: string) => status.get(id);
    return { notes, isLoading, isConnected, error, noteStatus, presence, ...actions };
  }, [notes, isLoading, isConnected, error, status, presence, actions]);
}

/** `useInterviewNotesBroadcast` by the interview's id. */
export function useInterviewNotesRealtime(
  interviewId: string | undefined,
  options: Omit<InterviewNotesOptions, "interviewId"> = {},
): UseInterviewNotes {
  return useInterviewNotesBroadcast({ ...options, interviewId });
}

export function notesOpening(interviewId: string): Opening<InterviewNotes> {
  return {
    key: `notes ${interviewId}`,
    open: (client) => openInterviewNotes(client, interviewId),
    close: (notes) => notes.close(),
  };
}

function useNoteActions(opening: Opening<InterviewNotes> | undefined) {
  const { holds } = useRealtimeContext();
  const write = useWrites(opening);
  return useMemo(
    (): Pick<UseInterviewNotes, "addNote" | "updateNote" | "deleteNote" | "restoreNote" | "dismiss"> => ({
      addNote: (note) => write("add a note", (notes) => notes.addNote(note)),
      updateNote: (...args) => write("update a note", (notes) => notes.updateNote(...args)),
      deleteNote: (id) => write("delete a note", (notes) => notes.deleteNote(id)),
      restoreNote: (...args) => write("restore a note", (notes) => notes.restoreNote(...args)),
      dismiss: (id) => opening && holds.peek(opening)?.dismiss(id),
    }),
    [holds, opening, write],
  );
}

/** The first notes given for an interview: a caller may make a new array in each render. */
function useInitialNotes(interviewId: string | undefined, given: readonly Note[] = NO_NOTES): readonly Note[] {
  const [initial, setInitial] = useState({ interviewId, notes: given });
  if (initial.interviewId === interviewId) return initial.notes;
  setInitial({ interviewId, notes: given });
  return given;
}

/** What the app brought along, and what was written since; both are in order. */
function together(initial: readonly Note[], { notes, byId }: InterviewNotesSnapshot): readonly Note[] {
  if (initial.length === 0) return notes;
  const rest = initial.filter((note) => !byId.has(note.id));
  return [...rest, ...notes].sort((a, b) => a.timestampMs - b.timestampMs || (a.id < b.id ? -1 : 1));
}
