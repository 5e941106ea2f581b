import { type KeyboardEvent, useState } from "react";
import { formatTime, parseTime } from "./time.ts";

/** The place in the recording, in the gutter. Pressing it edits it; Enter and leaving save, Escape does not. */
export function NoteTime({ ms, onChange }: { ms: number; onChange: (ms: number) => void }) {
  const [text, setText] = useState<string>();
  if (text === undefined) {
    return (
      <button
        type="button"
        data-testid="note-time"
        aria-label={`At ${formatTime(ms)}. Change the time`}
        onClick={() => setText(formatTime(ms))}
        className="rounded px-1 py-0.5 text-xs tabular-nums text-muted hover:bg-sunken hover:text-ink"
      >
        {formatTime(ms)}
      </button>
    );
  }
  const parsed = parseTime(text);
  const save = () => {
    if (parsed !== undefined && parsed !== ms) onChange(parsed);
    setText(undefined);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Enter") save();
    if (event.key === "Escape") setText(undefined);
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
      onBlur={save}
      onKeyDown={onKeyDown}
      className="w-full rounded border border-line-strong bg-surface px-1 py-0.5 text-right text-xs tabular-nums aria-invalid:border-danger aria-invalid:text-danger"
    />
  );
}
