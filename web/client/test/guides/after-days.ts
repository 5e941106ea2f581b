import type { Conflict, MutationFailure, RealtimeClient } from "@chorale/client";

export interface Notice {
  readonly recordId: string;
  readonly text: string;
  /** What the person had written, to be copied or written again. */
  readonly mine: unknown;
}

/** Collects what became of writes whose page is long gone. Listen before the first channel is claimed. */
export function collectNotices(client: RealtimeClient, add: (notice: Notice) => void): void {
  client.on("conflict", ({ recordId, field, mine, theirs }: Conflict) =>
    add({ recordId, text: `${field} is now “${String(theirs)}”: somebody wrote later than you`, mine }),
  );
  client.on("mutationFailed", ({ recordId, outcome, fields }: MutationFailure) => {
    const why = outcome.status === "rejected" ? outcome.message : outcome.status;
    add({ recordId, text: `not saved: ${why}`, mine: fields });
  });
}
