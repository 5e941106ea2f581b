import type { Version } from "@chorale/client/history";
import type { Note, NoteFields } from "@chorale/react";
import { Ago, NowContext } from "../note/ago.tsx";
import { Avatar } from "../people/avatar.tsx";
import { useNameOf } from "../people/names.tsx";
import { Bones } from "../ui/bones.tsx";
import { Button } from "../ui/button.tsx";
import { Dialog } from "../ui/dialog.tsx";
import { useNow } from "../ui/use-now.ts";
import { describeVersion, textOf } from "./history-text.ts";
import { useHistory } from "./use-history.ts";

interface HistoryDialogProps {
  interviewId: string;
  note: Note;
  /** Puts an earlier text in the place of the present one. */
  onUse: (content: string) => void;
  onClose: () => void;
}

/** Who changed a note, what and when, newest first, as far as the server still holds it. */
export function HistoryDialog({ interviewId, note, onUse, onClose }: HistoryDialogProps) {
  const answer = useHistory(interviewId, note.id);
  const now = useNow(30_000);
  return (
    <Dialog title="History" onClose={onClose}>
      <NowContext value={now}>
        {answer.status === "asking" && <Bones rows={3} />}
        {answer.status === "failed" && (
          <div role="alert" data-testid="history-failed" className="space-y-3 text-sm">
            <p>The history cannot be had now: {answer.message}</p>
            <Button onClick={answer.again} isSmall>
              Try again
            </Button>
          </div>
        )}
        {answer.status === "here" && (
          <>
            <ol aria-label="Changes, newest first" className="space-y-4">
              {[...answer.history.versions].reverse().map((version) => (
                <Change key={version.version} version={version} now={note.content} onUse={onUse} />
              ))}
            </ol>
            {!answer.history.isComplete && (
              <p data-testid="history-ends" className="mt-4 text-sm text-muted">
                {answer.history.versions.length > 0
                  ? "Earlier changes are no longer kept."
                  : "Nobody has changed it within the last day, and earlier changes are not kept."}
              </p>
            )}
          </>
        )}
      </NowContext>
    </Dialog>
  );
}

interface ChangeProps {
  version: Version<NoteFields>;
  /** The present text. */
  now: string;
  onUse: (content: string) => void;
}

function Change({ version, now, onUse }: ChangeProps) {
  const nameOf = useNameOf();
  const text = textOf(version);
  const name = nameOf(version.by);
  return (
    <li data-testid="history-change" className="flex gap-3 text-sm">
      <Avatar sub={version.by} name={name} size="sm" />
      <div className="min-w-0 flex-1">
        <p>
          <span className="font-medium">{name}</span> {describeVersion(version)}{" "}
          <span className="text-xs text-muted">
            <Ago at={version.at} />
          </span>
        </p>
        {text !== undefined && (
          <p className="mt-1 border-l-2 border-line-strong pl-3 whitespace-pre-wrap wrap-anywhere text-muted">{text}</p>
        )}
        {text !== undefined && text !== now && (
          <Button look="link" data-testid="history-use" onClick={() => onUse(text)} className="mt-1 text-sm">
            Use this text
          </Button>
        )}
      </div>
    </li>
  );
}
