import type { Collection } from "@chorale/client";
import { createUndo, type Undone } from "@chorale/client/undo";

interface Task {
  title: string;
  done: boolean;
}

export function withUndo(tasks: Collection<Task>, say: (text: string) => void) {
  const undo = createUndo(tasks); // hears every write of this client to them from now on
  const tell = (done: Undone | undefined) => {
    if (done === undefined) return say("There is nothing to undo.");
    if (done.skipped.length > 0) say("Somebody else has changed that since.");
    done.settled.then((skipped) => skipped.length > done.skipped.length && say("Somebody was faster."));
  };
  return {
    undo,
    back: () => tell(undo.undo()),
    again: () => tell(undo.redo()),
    finishAll: (ids: readonly string[]) => undo.group(() => ids.map((id) => tasks.patch(id, { done: true }))),
  };
}
