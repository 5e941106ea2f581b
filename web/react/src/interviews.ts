import type { Rec } from "@chorale/client";

/** What a person writes of a project; a record of `projects` in `workspace:main`. */
export interface ProjectFields {
  name: string;
  description?: string;
  color?: string;
}

/** What a person writes of an interview; a record of `interviews` in `project:{id}`. */
export interface InterviewFields {
  title: string;
  participant?: string;
  role?: string;
  status: "planned" | "live" | "done";
  /** ms since 1970. */
  scheduledAt?: number;
  durationMs?: number;
  summary?: string;
}

/** What a person writes in a note; a record of `notes` in `interview:{id}`. */
export interface NoteFields {
  content: string;
  /** Place in the recording, in ms from its start. */
  timestampMs: number;
  authorName?: string;
  kind?: "note" | "quote" | "insight" | "action";
  /** A set: two people who add tags at once both have theirs. */
  tags: readonly string[];
}

export type Project = Rec<ProjectFields>;
export type Interview = Rec<InterviewFields> & { readonly projectId: string };
export type Note = Rec<NoteFields> & { readonly interviewId: string; readonly authorId: string };

/** Adds to each record what its place says of it. An unchanged record gives the same object again, so that rows can be memoised. */
export function extendEach<R extends object, X extends object>(extra: (record: R) => X): (record: R) => R & X {
  const made = new WeakMap<R, R & X>();
  return (record) => {
    const known = made.get(record);
    if (known !== undefined) return known;
    const extended = Object.freeze({ ...record, ...extra(record) });
    made.set(record, extended);
    return extended;
  };
}

/** In the order of the recording. The same on every screen, before and after a note was acknowledged: no time of a server is in it. */
export function byTimeInRecording(a: Note, b: Note): number {
  return a.timestampMs - b.timestampMs || (a.id < b.id ? -1 : 1);
}
