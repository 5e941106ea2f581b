import { Avatar } from "./avatar.tsx";
import type { Person } from "./doing.ts";

/** How many faces fit before the rest becomes a number. */
const MOST = 5;

/** Who is here. */
export function FaceRow({ people, size = "md" }: { people: readonly Person[]; size?: "sm" | "md" }) {
  const shown = people.slice(0, MOST);
  const more = people.length - shown.length;
  if (people.length === 0) return null;
  return (
    <ul aria-label="Here now" className="flex items-center -space-x-1">
      {shown.map((person) => (
        <li
          key={person.sub}
          data-testid="presence-avatar"
          data-name={person.name}
          title={person.isSelf ? `${person.name} (you)` : person.name}
          className="rounded-full ring-2 ring-paper"
        >
          <Avatar sub={person.sub} name={person.name} size={size} />
          <span className="sr-only">{person.isSelf ? `${person.name} (you)` : person.name}</span>
        </li>
      ))}
      {more > 0 && <li className="pl-3 text-xs text-muted">+{more}</li>}
    </ul>
  );
}
