import { useId } from "react";
import { Icon } from "../ui/icons.tsx";
import { KINDS, type NoteKind } from "./kinds.ts";

/** What kind of note it is. Pressing it does not take the focus from the text. */
export function KindPicker({ value, onChange }: { value: NoteKind; onChange: (kind: NoteKind) => void }) {
  const name = useId();
  return (
    <fieldset className="flex items-center rounded-lg bg-sunken p-0.5">
      <legend className="sr-only">Kind</legend>
      {KINDS.map(({ kind, label, icon }) => (
        <label
          key={kind}
          title={label}
          onMouseDown={(event) => event.preventDefault()}
          className="flex h-7 items-center gap-1 rounded-md px-2 text-xs text-muted transition-colors hover:text-ink has-checked:bg-surface has-checked:font-medium has-checked:text-ink has-focus-visible:outline-2 has-focus-visible:outline-accent"
        >
          <input type="radio" name={name} checked={kind === value} onChange={() => onChange(kind)} className="sr-only" />
          <Icon name={icon} className="size-3.5" />
          <span className="sr-only lg:not-sr-only">{label}</span>
        </label>
      ))}
    </fieldset>
  );
}
