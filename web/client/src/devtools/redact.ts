/** Frames as they may be shown and kept: without what lets somebody in, and no longer than a screen. */
const SECRET_NAME = /token|apikey|api_key|authorization|password|secret|cookie/i;
/** A JSON Web Token, wherever it stands. */
const JWT = /\beyJ[\w-]+\.[\w-]+\.[\w-]*/g;
/** How much of a payload is kept. Characters. */
export const SHOWN_CHARS = 2_000;

/** A payload as text. */
export function redact(payload: unknown): string {
  const text = JSON.stringify(payload, (name, value: unknown) => (SECRET_NAME.test(name) ? "[redacted]" : value)) ?? "";
  const safe = text.replace(JWT, "[redacted]");
  return safe.length <= SHOWN_CHARS ? safe : `${safe.slice(0, SHOWN_CHARS)}… (${safe.length} characters)`;
}
