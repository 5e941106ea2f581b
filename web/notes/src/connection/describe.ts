import type { ConnectionSnapshot } from "@chorale/client";

/** What the indicator says. `tone` picks its colour, `offers` its button. */
export interface ConnectionText {
  readonly tone: "good" | "waiting" | "bad";
  readonly label: string;
  /** The label without its numbers: what a screen reader is told, once for each change. */
  readonly summary: string;
  readonly offers?: "try-now" | "sign-in";
}

/** The connection in words, with how many writes wait for it. `now` is ms since 1970. */
export function describeConnection(connection: ConnectionSnapshot, pending: number, now: number): ConnectionText {
  const { status, latencyMs, retryAt } = connection;
  const bad = (summary: string, offers?: ConnectionText["offers"]): ConnectionText => ({
    tone: "bad",
    summary,
    label: join(summary, unsent(pending)),
    ...(offers ? { offers } : {}),
  });
  switch (status) {
    case "connected":
      return { tone: "good", summary: "Live", label: join("Live", latencyMs === undefined ? "" : formatLatency(latencyMs)) };
    case "idle":
    case "connecting":
      return waiting(connection.attempt > 1 ? "No answer yet, trying again" : "Connecting", retryAt, pending, now);
    case "reconnecting":
      return waiting("Reconnecting", retryAt, pending, now);
    case "offline":
      return bad("Offline", "try-now");
    case "needs-auth":
      return bad("Signed out", "sign-in");
    case "failed":
      return bad("Refused by the server", "try-now");
    case "closed":
      return bad("Closed");
    default:
      return status satisfies never;
  }
}

function waiting(summary: string, retryAt: number | undefined, pending: number, now: number): ConnectionText {
  const seconds = retryAt === undefined ? 0 : Math.ceil((retryAt - now) / 1000);
  if (seconds <= 0) return { tone: "waiting", summary, label: join(`${summary}…`, unsent(pending)) };
  return { tone: "waiting", summary, label: join(`${summary} in ${seconds} s`, unsent(pending)), offers: "try-now" };
}

function unsent(pending: number): string {
  if (pending === 0) return "";
  return pending === 1 ? "1 unsent edit" : `${pending} unsent edits`;
}

function join(...parts: string[]): string {
  return parts.filter((part) => part !== "").join(" · ");
}

function formatLatency(ms: number): string {
  return ms < 1 ? "< 1 ms" : `${Math.round(ms)} ms`;
}
