import { type KeyboardEvent, useState } from "react";
import { formatTime, parseTime } from "./time.ts";

interface RecorderControlProps {
  /** The time that the next note will have. */
  ms: number;
  isRunning: boolean;
  onToggle: () => void;
  onSet: (ms: number) => void;
}

/** A clock beside the recording: start, pause, or type where the recording is. */
export function RecorderControl({ ms, isRunning, onToggle, onSet }: RecorderControlProps) {
  const [text, setText] = useState<string>();
  const parsed = text === undefined ? undefined : parseTime(text);
  const isWrong = text !== undefined && parsed === undefined;
  const type = (next: string) => {
    setText(next);
    const time = parseTime(next);
    if (time !== undefined) onSet(time); // at once, so that a note sent from here has it
  };
  const onKeyDown = (event: KeyboardEvent<HTMLInputElement>) => {
    if (event.key !== "Enter" && event.key !== "Escape") return;
    event.preventDefault();
    event.currentTarget.blur();
  };
  return (
    <div className={`flex h-8 items-center rounded-lg ${isRunning ? "bg-danger-soft text-record" : "bg-sunken text-ink"}`}>
      <button
        type="button"
        data-testid="recorder-toggle"
        aria-label={isRunning ? "Pause the recording clock" : "Start the recording clock"}
        title={isRunning ? "Pause the clock (r)" : "Start the clock (r)"}
        onClick={onToggle}
        className="inline-flex size-8 items-center justify-center rounded-lg hover:bg-line"
      >
        <span
          aria-hidden="true"
          className={isRunning ? "size-2.5 animate-beat rounded-[2px] bg-record" : "size-2.5 rounded-full bg-record"}
        />
      </button>
      <input
        data-testid="composer-time"
        aria-label="Time in the recording"
        aria-invalid={isWrong}
        inputMode="numeric"
        value={text ?? formatTime(ms)}
        onChange={(event) => type(event.target.value)}
        onFocus={(event) => {
          setText(formatTime(ms));
          event.target.select();
        }}
        onBlur={() => setText(undefined)}
        onKeyDown={onKeyDown}
        className="h-8 w-15 rounded-lg bg-transparent px-1 text-sm font-medium tabular-nums focus:outline-2 focus:outline-accent aria-invalid:text-danger"
      />
    </div>
  );
}
