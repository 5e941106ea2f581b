import type { ChoraleErrorLike, Rec, Store, Unsubscribe } from "@chorale/client";
import { type Claims, claimKey } from "./claims.ts";
import { extendEach, type Interview, type InterviewFields } from "./interviews.ts";

export interface InterviewFeedSnapshot {
  /** Of all subscribed projects, ordered by id, which is the order they were made in. */
  readonly interviews: readonly Interview[];
  /** Why a project is missing from them. */
  readonly error: ChoraleErrorLike | undefined;
}

interface Subscribed {
  holders: number;
  interviews: () => readonly Interview[];
  error: () => ChoraleErrorLike | undefined;
  end: Unsubscribe;
}

export const NO_INTERVIEWS: InterviewFeedSnapshot = Object.freeze({ interviews: Object.freeze([]), error: undefined });

/** The interviews of the projects that somebody below one provider subscribed to: what `useRealtime` shows. */
export class InterviewFeed implements Store<InterviewFeedSnapshot> {
  readonly #claims: Claims;
  readonly #projects = new Map<string, Subscribed>();
  readonly #listeners = new Set<() => void>();
  /** Undefined since something changed; made when it is read. */
  #snapshot: InterviewFeedSnapshot | undefined = NO_INTERVIEWS;

  constructor(claims: Claims) {
    this.#claims = claims;
  }

  readonly getSnapshot = (): InterviewFeedSnapshot => {
    this.#snapshot ??= this.#read();
    return this.#snapshot;
  };

  readonly subscribe = (listener: () => void): Unsubscribe => {
    const entry = () => listener();
    this.#listeners.add(entry);
    return () => this.#listeners.delete(entry);
  };

  /** Shows a project's interviews until the returned function was called as often as this one. For effects and event handlers. */
  readonly subscribeToProject = (projectId: string): Unsubscribe => {
    const project = this.#projects.get(projectId) ?? this.#open(projectId);
    project.holders++;
    let ended = false;
    return () => {
      if (ended) return;
      ended = true;
      if (--project.holders > 0) return;
      this.#projects.delete(projectId);
      project.end();
      this.#changed();
    };
  };

  #open(projectId: string): Subscribed {
    const { claim, release } = this.#claims.hold(claimKey(`project:${projectId}`));
    const records = claim.open<InterviewFields>("interviews").snapshot;
    const toInterview = extendEach((_: Rec<InterviewFields>) => ({ projectId }));
    const stops = [records.subscribe(this.#changed), claim.channel.status.subscribe(this.#changed), release];
    const project: Subscribed = {
      holders: 0,
      interviews: () => records.getSnapshot().records.map(toInterview),
      error: () => claim.channel.status.getSnapshot().error,
      end: () => {
        for (const stop of stops) stop();
      },
    };
    this.#projects.set(projectId, project);
    this.#changed();
    return project;
  }

  readonly #changed = () => {
    this.#snapshot = undefined;
    for (const listener of this.#listeners) listener();
  };

  #read(): InterviewFeedSnapshot {
    const projects = [...this.#projects.values()];
    const interviews = projects.flatMap((project) => project.interviews());
    interviews.sort((a, b) => (a.id < b.id ? -1 : 1));
    const error = projects.map((project) => project.error()).find((found) => found !== undefined);
    return { interviews, error };
  }
}
