import type { PresenceMember } from "@chorale/client";

/** What somebody says of themselves in the presence of an interview. */
export interface InterviewPresence {
  readonly name: string;
  /** Token `sub`: the same person in two tabs is one face. */
  readonly sub: string;
  readonly doing: "reading" | "writing" | "editing";
  /** The note that is edited; else "". */
  readonly noteId: string;
}

/** What somebody says of themselves in the presence of the workspace: where they are. */
export interface WorkspacePresence {
  readonly name: string;
  readonly sub: string;
  /** The interview that they look at; else "". */
  readonly interviewId: string;
}

/** One face in the row: a person, however many tabs they have open. */
export interface Person {
  readonly sub: string;
  readonly name: string;
  readonly isSelf: boolean;
}

/** The people behind the members, oneself first, then by name. Members that say nothing readable are left out. */
export function peopleOf(members: readonly PresenceMember<{ name: string; sub: string }>[]): readonly Person[] {
  const people = new Map<string, Person>();
  for (const { state, isSelf } of members) {
    if (typeof state.sub !== "string" || typeof state.name !== "string") continue;
    const known = people.get(state.sub);
    people.set(state.sub, { sub: state.sub, name: state.name, isSelf: isSelf || known?.isSelf === true });
  }
  return [...people.values()].sort((a, b) => Number(b.isSelf) - Number(a.isSelf) || (a.name < b.name ? -1 : 1));
}

/** Names of the others who write a new note just now. */
export function writersOf(members: readonly PresenceMember<InterviewPresence>[]): readonly string[] {
  return othersWho(members, (state) => state.doing === "writing");
}

/** Names of the others who edit a note just now, by its id, as text: `Ada and Ben`. */
export function editorsOf(
  members: readonly PresenceMember<InterviewPresence>[],
  list: (names: readonly string[]) => string,
): ReadonlyMap<string, string> {
  const ids = new Set(members.flatMap(({ state }) => (state.doing === "editing" ? [state.noteId] : [])));
  const entries = [...ids].map(
    (id) => [id, list(othersWho(members, (one) => one.doing === "editing" && one.noteId === id))] as const,
  );
  return new Map(entries.filter(([, names]) => names !== ""));
}

function othersWho(members: readonly PresenceMember<InterviewPresence>[], does: (state: InterviewPresence) => boolean) {
  const names = members.filter((member) => !member.isSelf && does(member.state)).map((member) => member.state.name);
  return [...new Set(names)].sort();
}
