const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** The longest recording that the schema allows, in ms. */
export const MAX_RECORDING_MS = DAY;

/** A place in a recording: `03:12`, and `1:03:12` from the first hour on. */
export function formatTime(ms: number): string {
  const seconds = Math.floor(Math.max(0, ms) / SECOND);
  const two = (n: number) => String(n).padStart(2, "0");
  const h = Math.floor(seconds / 3600);
  const m = Math.floor((seconds % 3600) / 60);
  const s = seconds % 60;
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${two(m)}:${two(s)}`;
}

/**
 * Reads a place in a recording as people type it: `3:12`, `1:03:12`, `90s`, `12m`, `1h2m3s`; a bare number is minutes, as in a field
 * that shows mm:ss. Returns ms, or undefined for anything else and for times beyond a day.
 */
export function parseTime(text: string): number | undefined {
  const trimmed = text.trim().toLowerCase().replaceAll(" ", "");
  const ms = parseClock(trimmed) ?? parseUnits(trimmed);
  return ms === undefined || ms > MAX_RECORDING_MS ? undefined : ms;
}

function parseClock(text: string): number | undefined {
  const match = /^(?:(\d{1,2}):)?(\d{1,3}):([0-5]?\d)$/.exec(text);
  if (!match) return undefined;
  const [, h, m, s] = match;
  if (h !== undefined && Number(m) > 59) return undefined;
  return Number(h ?? 0) * HOUR + Number(m) * MINUTE + Number(s) * SECOND;
}

function parseUnits(text: string): number | undefined {
  if (/^\d{1,4}$/.test(text)) return Number(text) * MINUTE;
  const match = /^(?:(\d{1,2})h)?(?:(\d{1,4})m)?(?:(\d{1,5})s)?$/.exec(text);
  if (!match || text === "") return undefined;
  const [, h, m, s] = match;
  return Number(h ?? 0) * HOUR + Number(m ?? 0) * MINUTE + Number(s ?? 0) * SECOND;
}

/** How long something takes, in words: `47 min`, `1 h 12 min`. */
export function formatDuration(ms: number): string {
  const minutes = Math.round(ms / MINUTE);
  if (minutes < 60) return `${Math.max(1, minutes)} min`;
  const rest = minutes % 60;
  return rest === 0 ? `${minutes / 60} h` : `${Math.floor(minutes / 60)} h ${rest} min`;
}

/** How long ago something was, short enough for a corner: `now`, `5 min`, `3 h`, `2 d`, then the date. */
export function formatAgo(at: number, now: number): string {
  const age = now - at;
  if (age < MINUTE) return "now"; // also for clocks that run a little ahead
  if (age < HOUR) return `${Math.floor(age / MINUTE)} min`;
  if (age < DAY) return `${Math.floor(age / HOUR)} h`;
  if (age < 7 * DAY) return `${Math.floor(age / DAY)} d`;
  return formatDate(at, now);
}

/** A day for people: `17 Nov`, with the year when it is another one. */
export function formatDate(at: number, now: number): string {
  const date = new Date(at);
  const sameYear = date.getFullYear() === new Date(now).getFullYear();
  return date.toLocaleDateString("en-GB", { day: "numeric", month: "short", ...(sameYear ? {} : { year: "numeric" }) });
}
