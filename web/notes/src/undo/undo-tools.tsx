import { useUndo } from "@chorale/react/undo";
import { useToast } from "../toast/toast.tsx";
import { IconButton } from "../ui/button.tsx";
import { type Direction, describeSkipped, describeUndone } from "./undo-text.ts";
import { useUndoKeys } from "./use-undo-keys.ts";

interface UndoToolsProps {
  channel: string;
  /** A note was changed or came back: the person wants to see which. */
  onChanged: (noteId: string) => void;
}

/** What is written here is written as a whole, by Enter: two writes are two steps, however quick somebody is. */
const EACH = { captureMs: 0 };

/** Takes back, and does again, what this person did to the notes of an interview. What it came to is said in a toast, so it is heard as well. */
export function UndoTools({ channel, onChanged }: UndoToolsProps) {
  const { undo, redo, canUndo, canRedo } = useUndo(channel, "notes", EACH);
  const toast = useToast();
  const go = (which: Direction) => {
    const done = which === "undo" ? undo() : redo();
    toast({ text: describeUndone(which, done) });
    const there = done?.changed.find(({ op }) => op !== "delete");
    if (there) onChanged(there.recordId);
    done?.settled.then((skipped) => {
      const late = describeSkipped(skipped.slice(done.skipped.length));
      if (late) toast({ text: late });
    });
  };
  useUndoKeys(go);
  return (
    // Not `disabled`: a button that was just pressed would lose the focus, and say nothing of why.
    <div className="flex">
      <IconButton
        icon="undo"
        label="Undo"
        data-testid="undo"
        aria-keyshortcuts="Control+Z Meta+Z"
        aria-disabled={!canUndo}
        onClick={() => go("undo")}
        className="aria-disabled:opacity-40"
      />
      <IconButton
        icon="redo"
        label="Redo"
        data-testid="redo"
        aria-keyshortcuts="Control+Shift+Z Meta+Shift+Z"
        aria-disabled={!canRedo}
        onClick={() => go("redo")}
        className={`aria-disabled:opacity-40 ${canRedo ? "" : "max-sm:hidden"}`}
      />
    </div>
  );
}
