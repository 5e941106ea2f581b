import { useState } from "react";
import { useNow } from "../ui/use-now.ts";
import { useStoredState } from "../ui/use-stored-state.ts";
import { elapsed, parseRecorder, type Recorder, setTo, toggle } from "./recorder.ts";

const format = (recorder: Recorder | undefined) => (recorder ? JSON.stringify(recorder) : null);

/**
 * The recording clock of one interview, kept over reloads of this tab. Before anybody touched it it stands at `restMs`.
 * `interviewId` must not change while mounted.
 */
export function useRecorder(interviewId: string, restMs: number) {
  const [saved, setSaved] = useStoredState(`chorale.recorder.${interviewId}`, parseRecorder, format);
  const recorder: Recorder = saved ?? { state: "paused", atMs: restMs };
  const isRunning = recorder.state === "running";
  const now = useNow(250, isRunning);
  return {
    isRunning,
    ms: elapsed(recorder, now),
    toggle: () => setSaved(toggle(recorder, Date.now())),
    setTo: (ms: number) => setSaved(setTo(recorder, ms, Date.now())),
  };
}

/**
 * The time that a note being written will have: the clock's when its first letter was typed, because that is when the thing to note
 * happened, and not when the sentence was finished.
 */
export function useNoteTime(recorder: ReturnType<typeof useRecorder>) {
  const [heldMs, setHeldMs] = useState<number>();
  return {
    ms: heldMs ?? recorder.ms,
    hold: () => setHeldMs((held) => held ?? recorder.ms),
    letGo: () => setHeldMs(undefined),
    setTo: (ms: number) => {
      recorder.setTo(ms);
      setHeldMs((held) => (held === undefined ? undefined : ms));
    },
  };
}
