import type { InterviewFields } from "@chorale/react";

const LABELS: Readonly<Record<InterviewFields["status"], string>> = { planned: "Planned", live: "Live", done: "Done" };

/** How far an interview is, as a mark of its own shape: a ring, a beating dot, a filled dot. */
export function StatusDot({ status }: { status: InterviewFields["status"] }) {
  const looks = {
    planned: "border-[1.5px] border-line-strong",
    live: "bg-record animate-beat",
    done: "bg-line-strong",
  }[status];
  return <span aria-hidden="true" className={`inline-block size-2 shrink-0 rounded-full ${looks}`} />;
}

export function StatusBadge({ status }: { status: InterviewFields["status"] }) {
  return (
    <span
      className={`inline-flex shrink-0 items-center gap-1.5 text-xs ${status === "live" ? "font-medium text-record" : "text-muted"}`}
    >
      <StatusDot status={status} /> {LABELS[status]}
    </span>
  );
}

export const STATUSES = Object.entries(LABELS) as readonly (readonly [InterviewFields["status"], string])[];
