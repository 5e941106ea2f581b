import type { ChoraleErrorLike, RealtimeClient, Store, Unsubscribe } from "@chorale/client";
import { type Interview, type OpenProject, openProject } from "@chorale/client/notes";

export interface InterviewFeedSnapshot {
  /** Of all subscribed projects, ordered by id, which is the order they were made in. */
  readonly interviews: readonly Interview[];
  /** Why a project is missing from them. */
  readonly error: ChoraleErrorLike | undefined;
}

export const NO_INTERVIEWS: InterviewFeedSnapshot = /* @__PURE__ */ Object.freeze({
  interviews: Object.freeze([]),
  error: undefined,
});

interface Subscribed {
  readonly project: OpenProject;
  readonly stop: Unsubscribe;
  holders: number;
}

/** The interviews of the projects that somebody below one provider subscribed to: what `useRealtime` shows. */
export class InterviewFeed implements Store<InterviewFeedSnapshot> {
  readonly #client: RealtimeClient;
  readonly #projects = new Map<string, Subscribed>();
  readonly #listeners = new Set<() => void>();
  /** Undefined since something changed; made when it is read. */
  #snapshot: InterviewFeedSnapshot | undefined = NO_INTERVIEWS;

  constructor(client: RealtimeClient) {
    this.#client = client;
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
    const subscribed = this.#projects.get(projectId) ?? this.#open(projectId);
    subscribed.holders++;
    let ended = false;
    return () => {
      if (ended) return;
      ended = true;
      if (--subscribed.holders > 0) return;
      this.#projects.delete(projectId);
      subscribed.stop();
      subscribed.project.close();
      this.#changed();
    };
  };

  #open(projectId: string): Subscribed {
    const project = openProject(this.#client, projectId);
    const subscribed = { project, stop: project.store.subscribe(this.#changed), holders: 0 };
    this.#projects.set(projectId, subscribed);
    this.#changed();
    return subscribed;
  }

  readonly #changed = () => {
    this.#snapshot = undefined;
    for (const listener of this.#listeners) listener();
  };

  #read(): InterviewFeedSnapshot {
    const projects = [...this.#projects.values()].map(({ project }) => project.store.getSnapshot());
    const interviews = projects.flatMap((project) => project.interviews);
    interviews.sort((a, b) => (a.id < b.id ? -1 : 1));
    return { interviews, error: projects.find(({ error }) => error !== undefined)?.error };
  }
}
