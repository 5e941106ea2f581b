import type { InterviewFields } from "@chorale/react";
import { formatDate, formatDuration } from "../note/time.ts";

/** An interview in a line: who, when, how long. `now` is ms since 1970. */
export function describeInterview(interview: InterviewFields, now: number): string {
  const { participant, role, scheduledAt, durationMs } = interview;
  return [
    participant && role ? `${participant}, ${lowerFirst(role)}` : participant || role,
    scheduledAt === undefined ? "" : formatDate(scheduledAt, now),
    durationMs ? formatDuration(durationMs) : "",
  ]
    .filter(Boolean)
    .join(" · ");
}

/** `District nurse` within a sentence; a word in capitals (`CEO`) stays as it is. */
function lowerFirst(text: string): string {
  return /^\p{Lu}\p{Ll}/u.test(text) ? text.charAt(0).toLowerCase() + text.slice(1) : text;
}
