import type { Conflict, MutationFailure } from "@chorale/client";
import { useNameOf } from "../people/names.tsx";
import { useCopy } from "../toast/use-copy.ts";
import { Button } from "../ui/button.tsx";
import { Icon } from "../ui/icons.tsx";
import { describeConflict } from "./conflict-text.ts";
import type { NoteActions } from "./note-actions.ts";
import { describeRefusal } from "./refusal-text.ts";

/** Somebody's concurrent write won over one's own: both values, and the choice. */
export function ConflictNotice({ conflict, actions }: { conflict: Conflict; actions: NoteActions }) {
  const nameOf = useNameOf();
  const by = conflict.by === undefined ? undefined : nameOf(conflict.by);
  const { headline, mine } = describeConflict(conflict, by);
  return (
    <div role="alert" data-testid="conflict" className="mt-3 animate-rise rounded-lg bg-amber-soft px-3 py-2.5 text-sm">
      <p>
        <strong className="font-semibold text-amber">{headline}</strong> — yours:{" "}
        <q data-testid="conflict-mine" className="whitespace-pre-wrap">
          {mine}
        </q>
      </p>
      <div className="mt-2 flex gap-2">
        <Button data-testid="conflict-keep-mine" onClick={() => actions.keepMine(conflict)} isSmall>
          Keep mine
        </Button>
        <Button data-testid="conflict-dismiss" onClick={() => actions.dismissConflict(conflict)} isSmall>
          Keep {by === undefined ? "theirs" : `${by}’s`}
        </Button>
      </div>
    </div>
  );
}

/** The server refused a write: why, what was written, and the ways on from here. */
export function RefusedNotice({ failure, actions }: { failure: MutationFailure; actions: NoteActions }) {
  const copy = useCopy();
  const { headline, reason, text, retry } = describeRefusal(failure);
  return (
    <div role="alert" data-testid="refused" className="mt-3 animate-rise rounded-lg bg-danger-soft px-3 py-2.5 text-sm">
      <p className="flex gap-2 text-danger">
        <Icon name="warning" className="mt-0.5 size-4" />
        <span>
          <strong className="font-semibold">{headline}:</strong> <span data-testid="refused-reason">{reason}</span>
        </span>
      </p>
      {text && (
        <p data-testid="refused-text" className="mt-2 max-h-40 overflow-y-auto whitespace-pre-wrap break-words">
          {text}
        </p>
      )}
      <div className="mt-2 flex flex-wrap gap-2">
        <Button data-testid="refused-retry" onClick={() => actions.retry(failure)} isSmall>
          {retry}
        </Button>
        {text && (
          <Button data-testid="refused-copy" onClick={() => copy(text)} isSmall>
            Copy
          </Button>
        )}
        <Button data-testid="refused-dismiss" onClick={() => actions.dismissRefusal(failure.recordId)} isSmall>
          Dismiss
        </Button>
      </div>
    </div>
  );
}
