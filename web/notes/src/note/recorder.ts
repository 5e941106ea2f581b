/**
 * A clock that runs beside a recording. It is a value: what it shows follows from it and the time, so it survives a reload and needs
 * no timer of its own. Times are ms; `now` is ms since 1970.
 */
export type Recorder =
  | { readonly state: "paused"; readonly atMs: number }
  | { readonly state: "running"; readonly atMs: number; readonly since: number };

/** What the clock shows, in ms since the recording began. */
export function elapsed(recorder: Recorder, now: number): number {
  switch (recorder.state) {
    case "paused":
      return recorder.atMs;
    case "running":
      return recorder.atMs + Math.max(0, now - recorder.since);
    default:
      return recorder satisfies never;
  }
}

/** Starts a paused clock and pauses a running one. */
export function toggle(recorder: Recorder, now: number): Recorder {
  const atMs = elapsed(recorder, now);
  return recorder.state === "running" ? { state: "paused", atMs } : { state: "running", atMs, since: now };
}

/** Puts the clock to another place; it goes on running if it did. */
export function setTo(recorder: Recorder, atMs: number, now: number): Recorder {
  return recorder.state === "running" ? { state: "running", atMs, since: now } : { state: "paused", atMs };
}

/** Reads a clock that was kept as text; undefined when it is none. */
export function parseRecorder(text: string | null): Recorder | undefined {
  const value = parseObject(text);
  const { state, atMs, since } = value ?? {};
  if (typeof atMs !== "number" || !(atMs >= 0)) return undefined;
  if (state === "paused") return { state, atMs };
  if (state === "running" && typeof since === "number") return { state, atMs, since };
  return undefined;
}

function parseObject(text: string | null): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text ?? "null");
    return typeof value === "object" && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}
