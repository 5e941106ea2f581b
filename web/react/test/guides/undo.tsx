import { useCollection } from "@chorale/react";
import { useUndo } from "@chorale/react/undo";
import { useEffect, useState } from "react";

interface Card {
  title: string;
}

export function Undoable({ channel }: { channel: string }) {
  const { records, patch } = useCollection<Card>(channel, "cards");
  const { undo, redo, canUndo, canRedo } = useUndo(channel, "cards");
  const [word, setWord] = useState("");

  const go = (back: boolean) => {
    const done = back ? undo() : redo();
    const tell = (skipped: number) => setWord(skipped > 0 ? "Somebody else has changed that since: theirs stays." : "");
    if (done === undefined) return setWord(back ? "Nothing to undo" : "Nothing to redo");
    tell(done.skipped.length);
    done.settled.then((skipped) => tell(skipped.length)); // somebody may have been faster
  };

  // In a field the keys are the browser's: they take back what was typed there.
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const isTyping = event.target instanceof HTMLElement && event.target.matches("input, textarea, [contenteditable]");
      if (isTyping || !(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "z") return;
      event.preventDefault();
      go(!event.shiftKey);
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  });

  return (
    <section>
      <button type="button" disabled={!canUndo} onClick={() => go(true)}>
        Undo
      </button>
      <button type="button" disabled={!canRedo} onClick={() => go(false)}>
        Redo
      </button>
      <p role="status">{word}</p>
      {records.map((card) => (
        <input
          key={card.id}
          aria-label="Title"
          value={card.title}
          onChange={(event) => patch(card.id, { title: event.target.value })}
        />
      ))}
    </section>
  );
}
