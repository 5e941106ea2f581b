import { type KeyboardEvent, useRef, useState } from "react";
import { focusCardOf } from "./focus.ts";
import { formatTime, parseTime } from "./time.ts";

interface NoteTimeProps {
  ms: number;
  onChange: (ms: number) => void;
}

/** The place in the recording, in the gutter. Pressing it edits it. */
export function NoteTime({ ms, onChange }: NoteTimeProps) {
  const [isEditing, setEditing] = useState(false);
  if (isEditing) return <TimeField ms={ms} onChange={onChange} onDone={() => setEditing(false)} />;
  return (
    <button
      type="button"
      data-testid="note-time"
      aria-label={`At ${formatTime(ms)}. Change the time`}
      onClick={() => setEditing(true)}
      className="rounded px-1 py-0.5 text-xs tabular-nums text-muted hover:bg-sunken hover:text-ink"
    >
      {formatTime(ms)}
    </button>
  );
}

/** Enter and leaving save, Escape does not. Both keys leave the keyboard with the note. */
function TimeField({ ms, onChange, onDone }: NoteTimeProps & { onDone: () => void }) {
  const [text, setText] = useState(formatTime(ms));
  const isDone = useRef(false);
  const parsed = parseTime(text);
  const end = (isSaving: boolean) => {
    if (isDone.current) return; // the blur that the end itself brought about
    isDone.current = true;
    if (isSaving && parsed !== undefined && parsed !== ms) onChange(parsed);
    onDone();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== "Enter" && event.key !== "Escape") return;
    end(event.key === "Enter");
    focusCardOf(event.currentTarget);
  };
  return (
    <input
      data-testid="note-time-edit"
      aria-label="Time in the recording"
      aria-invalid={parsed === undefined}
      // biome-ignore lint/a11y/noAutofocus: it takes the place of the button that was just pressed
      autoFocus
      inputMode="numeric"
      value={text}
      onChange={(event) => setText(event.target.value)}
      onFocus={(event) => event.target.select()}
      onBlur={() => end(true)}
      onKeyDown={onKeyDown}
      className="w-full rounded border border-line-strong bg-surface px-1 py-0.5 text-right text-xs tabular-nums aria-invalid:border-danger aria-invalid:text-danger"
    />
  );
}
