import { useMembers, usePresence } from "@chorale/react";
import { useEffect } from "react";

interface Person {
  name: string;
  editing: string | null;
}

/** Takes part from its mount on; says which card this person edits. */
export function useMyself(channel: string, name: string, editing: string | null): void {
  const { update } = usePresence<Person>(channel, { name, editing: null });
  useEffect(() => update({ name, editing }), [update, name, editing]);
}

/** Watches only, and renders when somebody comes or goes: not when they turn to another card. */
export function Names({ channel }: { channel: string }) {
  const names = useMembers<Person, string[]>(channel, (members) => members.map(({ state }) => state.name));
  return <p>{names.length === 0 ? "Nobody is here" : `Here: ${names.join(", ")}`}</p>;
}

export function EditedBy({ channel, card }: { channel: string; card: string }) {
  const names = useMembers<Person, string[]>(channel, (members) =>
    members.filter(({ state, isSelf }) => !isSelf && state.editing === card).map(({ state }) => state.name),
  );
  return names.length === 0 ? null : <em>{names.join(", ")} edits this</em>;
}
