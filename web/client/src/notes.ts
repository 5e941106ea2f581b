/**
 * The interview-notes app's records and channels, typed: projects in a workspace, interviews in a project, notes in an interview.
 * For programs without React; @chorale/react has hooks for the same.
 *
 *     const notes = openInterviewNotes(client, "42");
 *     notes.store.subscribe(() => render(notes.store.getSnapshot().notes));
 *     notes.addNote({ content: "Pricing page is confusing", timestampMs: 61_000, authorName: "Ada" });
 */
import { BaseMessageHandler } from "./base-handler";
import type {
  Channel,
  ChoraleErrorLike,
  Collection,
  Message,
  Mutation,
  Patch,
  Presence,
  RealtimeClient,
  Rec,
  RecordMeta,
  RecordStatus,
  Store,
} from "./types";

export type NoteKind = "note" | "quote" | "insight" | "action";

/** What a person writes in a note. */
export interface NoteFields {
  readonly content: string;
  /** Place in the recording, in ms from its start. */
  readonly timestampMs: number;
  /** For people to read; who really wrote it is `authorId`. */
  readonly authorName: string;
  /** What was observed, what was said, what it means, what follows. */
  readonly kind: NoteKind;
  /** A set: two people who add tags at once both have theirs. */
  readonly tags: readonly string[];
}

/** A note to be made. Without a kind it is a `note`, without tags it has none, without an id it gets a new one. */
export type NoteInput = Pick<NoteFields, "content" | "timestampMs" | "authorName"> &
  Partial<Pick<NoteFields, "kind" | "tags">> & { readonly id?: string };

/** Frozen, and the same object until it changes. Times are ms since 1970. */
export interface Note extends NoteFields, RecordMeta {
  readonly interviewId: string;
  /** The token's `sub` of who made it, which the server sets. */
  readonly authorId: string;
}

/** What a team knows of an interview. */
export interface InterviewFields {
  readonly title: string;
  readonly participant?: string;
  /** What the participant does. */
  readonly role?: string;
  readonly status: "planned" | "live" | "done";
  /** ms since 1970. */
  readonly scheduledAt?: number;
  readonly durationMs?: number;
  readonly summary?: string;
}

export interface Interview extends InterviewFields, RecordMeta {
  readonly projectId: string;
}

export interface ProjectFields {
  readonly name: string;
  readonly description?: string;
  /** A hue by name. */
  readonly color?: "clay" | "amber" | "moss" | "ocean" | "plum" | "slate";
}

export interface Project extends ProjectFields, RecordMeta {}

/** What the snapshots of all three have in common. */
interface Listing<R> {
  readonly byId: ReadonlyMap<string, R>;
  /** Records with unsettled or refused writes. */
  readonly status: ReadonlyMap<string, RecordStatus>;
  /** True until the server's records are there, or the channel was refused. */
  readonly isLoading: boolean;
  /** Why nothing comes any more: the channel was refused, or the connection needs somebody. What passes is the connection's to tell. */
  readonly error: ChoraleErrorLike | undefined;
  readonly isConnected: boolean;
}

/** What all three can do beside their writes. */
interface Opened {
  readonly channel: Channel;
  readonly presence: Presence;
  /** Forgets a refused write that was dealt with. */
  dismiss(id: string): void;
  /** Gives the channel back. Writes that have not settled are still sent. Idempotent. */
  close(): void;
}

export interface InterviewNotesSnapshot extends Listing<Note> {
  /** In the order of the recording, then by id: the same on every screen, before and after a note was acknowledged. */
  readonly notes: readonly Note[];
}

export interface InterviewNotes extends Opened {
  readonly store: Store<InterviewNotesSnapshot>;
  /** The note is in the store when this returns; `settled` says what the server made of it. So with every write. */
  addNote(note: NoteInput): Mutation;
  updateNote(id: string, patch: Patch<NoteFields>, options?: { ifVersion?: number }): Mutation;
  deleteNote(id: string): Mutation;
  /** Undoes a deletion, also somebody else's; `patch` puts a text back in the same write. */
  restoreNote(id: string, patch?: Patch<NoteFields>): Mutation;
}

/** Opens the notes of an interview: the collection `notes` of the channel `interview:{id}`. */
export function openInterviewNotes(client: RealtimeClient, interviewId: string): InterviewNotes {
  const channel = client.channels.getChannel({ name: `interview:${interviewId}`, presence: true });
  const records = channel.collection<NoteFields>("notes");
  const toNote = (record: Rec<NoteFields>): Note => ({
    ...record,
    ...{ interviewId, authorId: record.createdBy, tags: record.tags ?? [] },
  });
  return {
    ...opened(channel, records),
    store: derive(client, channel, records, toNote, (notes, listing) => ({ notes: notes.sort(byTimeInRecording), ...listing })),
    addNote: ({ kind = "note", tags = [], ...note }) => records.add({ ...note, kind, tags }),
    updateNote: (id, patch, options) => records.patch(id, patch, options),
    deleteNote: (id) => records.delete(id),
    restoreNote: (id, patch) => records.restore(id, patch),
  };
}

export interface OpenProject extends Opened {
  readonly store: Store<Listing<Interview> & { readonly interviews: readonly Interview[] }>;
  addInterview(interview: InterviewFields & { id?: string }): Mutation;
  updateInterview(id: string, patch: Patch<InterviewFields>, options?: { ifVersion?: number }): Mutation;
  deleteInterview(id: string): Mutation;
  restoreInterview(id: string, patch?: Patch<InterviewFields>): Mutation;
}

/** Opens the interviews of a project: the collection `interviews` of the channel `project:{id}`. Ordered as they were made. */
export function openProject(client: RealtimeClient, projectId: string): OpenProject {
  const channel = client.channels.getChannel({ name: `project:${projectId}`, presence: true });
  const records = channel.collection<InterviewFields>("interviews");
  const toInterview = (record: Rec<InterviewFields>): Interview => ({ ...record, projectId });
  return {
    ...opened(channel, records),
    store: derive(client, channel, records, toInterview, (interviews, listing) => ({ interviews, ...listing })),
    addInterview: (interview) => records.add(interview),
    updateInterview: (id, patch, options) => records.patch(id, patch, options),
    deleteInterview: (id) => records.delete(id),
    restoreInterview: (id, patch) => records.restore(id, patch),
  };
}

export interface OpenWorkspace extends Opened {
  readonly store: Store<Listing<Project> & { readonly projects: readonly Project[] }>;
  addProject(project: ProjectFields & { id?: string }): Mutation;
  updateProject(id: string, patch: Patch<ProjectFields>, options?: { ifVersion?: number }): Mutation;
  deleteProject(id: string): Mutation;
  restoreProject(id: string, patch?: Patch<ProjectFields>): Mutation;
}

/** Opens the team's projects: the collection `projects` of the channel `workspace:main`. Ordered as they were made. */
export function openWorkspace(client: RealtimeClient): OpenWorkspace {
  const channel = client.channels.getChannel({ name: "workspace:main", presence: true });
  const records = channel.collection<ProjectFields>("projects");
  const toProject = (record: Rec<ProjectFields>): Project => record;
  return {
    ...opened(channel, records),
    store: derive(client, channel, records, toProject, (projects, listing) => ({ projects, ...listing })),
    addProject: (project) => records.add(project),
    updateProject: (id, patch, options) => records.patch(id, patch, options),
    deleteProject: (id) => records.delete(id),
    restoreProject: (id, patch) => records.restore(id, patch),
  };
}

/** Which note somebody is at; null is one that is not there yet. */
export interface NoteActivity {
  readonly noteId: string | null;
  /** Whose activity it is, for people to read. */
  readonly name: string;
}

/**
 * Takes what people do in an interview without writing it down: `note:typing` while somebody writes, `note:focus` when somebody
 * turns to another note. Publish both as ephemeral messages, they are worth nothing a second later:
 *
 *     channel.use(new InterviewNoteHandler({ onTyping: ({ name, noteId }) => showTyping(name, noteId) }));
 *     channel.publish("note:typing", { noteId, name: "Ada" }, { ephemeral: true });
 */
export class InterviewNoteHandler extends BaseMessageHandler<NoteActivity> {
  readonly event = ["note:typing", "note:focus"] as const;
  readonly #listeners: { onTyping?(activity: NoteActivity): void; onFocus?(activity: NoteActivity): void };

  constructor(listeners: { onTyping?(activity: NoteActivity): void; onFocus?(activity: NoteActivity): void }) {
    super();
    this.#listeners = listeners;
  }

  /** Throws for what is no NoteActivity: anybody in the channel may publish anything. */
  override parse(payload: unknown): NoteActivity {
    const { noteId, name } = (payload ?? {}) as { readonly noteId?: unknown; readonly name?: unknown };
    if (typeof name !== "string" || (noteId !== null && typeof noteId !== "string")) {
      throw new TypeError("a note activity has a name, and a noteId that is text or null");
    }
    return { noteId, name };
  }

  override handleMessage({ event, payload }: Message<NoteActivity>): void {
    if (event === "note:typing") this.#listeners.onTyping?.(payload);
    else this.#listeners.onFocus?.(payload);
  }
}

function byTimeInRecording(a: Note, b: Note): number {
  return a.timestampMs - b.timestampMs || (a.id < b.id ? -1 : 1);
}

function opened<T extends object>(channel: Channel, records: Collection<T>): Opened {
  return {
    channel,
    presence: channel.presence,
    dismiss: (id) => records.dismiss(id),
    close: () => channel.release(),
  };
}

/** A store over three others: the same snapshot until one of them says something else, and nobody is told before that. */
function derive<T extends object, R extends { readonly id: string }, S>(
  client: RealtimeClient,
  channel: Channel,
  records: Collection<T>,
  toRecord: (record: Rec<T>) => R,
  toSnapshot: (records: R[], listing: Listing<R>) => S,
): Store<S> {
  const made = new WeakMap<Rec<T>, R>();
  const shown = (record: Rec<T>): R => {
    const known = made.get(record);
    if (known !== undefined) return known;
    const fresh = Object.freeze(toRecord(record));
    made.set(record, fresh);
    return fresh;
  };
  const read = () => {
    const connection = client.connection.getSnapshot();
    const { status, error: refusal } = channel.status.getSnapshot();
    const isGone = status === "refused" || status === "closed";
    const isStuck = connection.status === "needs-auth" || connection.status === "failed";
    const error = isGone ? refusal : isStuck ? connection.error : undefined;
    return { from: records.snapshot.getSnapshot(), isGone, error, isConnected: connection.isConnected };
  };
  const make = ({ from, isGone, error, isConnected }: ReturnType<typeof read>): S => {
    const list = from.records.map(shown);
    const byId = new Map<string, R>();
    for (const record of list) byId.set(record.id, record);
    const isLoading = from.isLoading && !isGone;
    return Object.freeze(toSnapshot(list, { byId, status: from.status, isLoading, error, isConnected }));
  };
  let newest: { readonly inputs: ReturnType<typeof read>; readonly snapshot: S } | undefined;
  const getSnapshot = (): S => {
    const inputs = read();
    if (newest === undefined || !isSame(newest.inputs, inputs)) newest = { inputs, snapshot: make(inputs) };
    return newest.snapshot;
  };
  return {
    getSnapshot,
    subscribe: (listener) => {
      let told = getSnapshot();
      const check = () => {
        const snapshot = getSnapshot();
        if (snapshot === told) return;
        told = snapshot;
        listener();
      };
      const stops = [records.snapshot, channel.status, client.connection].map((source) => source.subscribe(check));
      return () => {
        for (const stop of stops) stop();
      };
    },
  };
}

/** Whether two objects of the same names have the same values. */
function isSame<O extends object>(a: O, b: O): boolean {
  return Object.keys(a).every((name) => Object.is(a[name as keyof O], b[name as keyof O]));
}
