import type { ConnectionSnapshot, StorageSnapshot } from "@chorale/client";

/** What the indicator says. `tone` picks its colour, `offers` its button. */
export interface ConnectionText {
  readonly tone: "good" | "waiting" | "bad";
  readonly label: string;
  /** The label without its numbers: what a screen reader is told, once for each change. */
  readonly summary: string;
  readonly offers?: "try-now" | "sign-in";
}

/** What would lose unsent edits, in words; "" when nothing does. */
const NOT_KEPT: Readonly<Record<NonNullable<StorageSnapshot["reason"]>, string>> = {
  off: "",
  unavailable: "this browser keeps nothing (a private window?)",
  blocked: "another tab has a newer version",
  full: "this device is full",
  broken: "this browser's storage broke",
  cleared: "signed out in another tab",
};

/** Where unsent edits are while they wait. */
export function describeStorage({ mode, reason = "off" }: StorageSnapshot): string {
  if (mode === "device") return "kept on this device";
  return mode === "memory" ? join("only in this tab", NOT_KEPT[reason]) : "";
}

/** The connection in words, with how many writes wait for it and where. `now` is ms since 1970. */
export function describeConnection(
  connection: ConnectionSnapshot,
  pending: number,
  now: number,
  storage: StorageSnapshot = { mode: "memory", reason: "off" },
): ConnectionText {
  const waits = unsent(pending, storage);
  const { status, latencyMs, retryAt } = connection;
  const bad = (summary: string, offers?: ConnectionText["offers"]): ConnectionText => ({
    tone: "bad",
    summary,
    label: join(summary, waits),
    ...(offers ? { offers } : {}),
  });
  switch (status) {
    case "connected":
      return { tone: "good", summary: "Live", label: join("Live", latencyMs === undefined ? "" : formatLatency(latencyMs)) };
    case "idle":
    case "connecting":
      return waiting(connection.attempt > 1 ? "No answer yet, trying again" : "Connecting", retryAt, waits, now);
    case "reconnecting":
      return waiting("Reconnecting", retryAt, waits, now);
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

function waiting(summary: string, retryAt: number | undefined, waits: string, now: number): ConnectionText {
  const seconds = retryAt === undefined ? 0 : Math.ceil((retryAt - now) / 1000);
  if (seconds <= 0) return { tone: "waiting", summary, label: join(`${summary}…`, waits) };
  return { tone: "waiting", summary, label: join(`${summary} in ${seconds} s`, waits), offers: "try-now" };
}

function unsent(pending: number, storage: StorageSnapshot): string {
  if (pending === 0) return "";
  const { mode, reason = "off" } = storage;
  const where = mode === "device" ? ", kept on this device" : mode === "memory" && reason !== "off" ? ", only in this tab" : "";
  return (pending === 1 ? "1 unsent edit" : `${pending} unsent edits`) + where;
}

function join(...parts: string[]): string {
  return parts.filter((part) => part !== "").join(" · ");
}

function formatLatency(ms: number): string {
  return ms < 1 ? "< 1 ms" : `${Math.round(ms)} ms`;
}
