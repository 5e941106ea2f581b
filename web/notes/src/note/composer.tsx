import type { NewNote } from "@chorale/react";
import { type KeyboardEvent, useRef, useState } from "react";
import { useShortcut } from "../keyboard/use-shortcut.ts";
import { Button } from "../ui/button.tsx";
import { Icon } from "../ui/icons.tsx";
import { useStoredState } from "../ui/use-stored-state.ts";
import { KindPicker } from "./kind-picker.tsx";
import type { NoteKind } from "./kinds.ts";
import { MAX_CONTENT } from "./limits.ts";
import { RecorderControl } from "./recorder-control.tsx";
import { liftTags, mergeTags, splitTags } from "./tags.ts";
import { useNoteTime, useRecorder } from "./use-recorder.ts";

interface ComposerProps {
  interviewId: string;
  authorName: string;
  /** Where the recording clock stands before anybody touched it, in ms. */
  restMs: number;
  onAdd: (note: NewNote) => void;
  /** A key was pressed (true), or the text was sent or given up (false). */
  onWriting: (isWriting: boolean) => void;
}

const keepText = (text: string | null) => text ?? "";
const keepUnlessEmpty = (text: string) => text || null;

/** Writes a new note. What is in it survives a reload, and Escape: only sending empties it. */
export function Composer({ interviewId, authorName, restMs, onAdd, onWriting }: ComposerProps) {
  const [text, setText] = useStoredState(`chorale.draft.${interviewId}`, keepText, keepUnlessEmpty);
  const [tagText, setTagText] = useState("");
  const [kind, setKind] = useState<NoteKind>("note");
  const recorder = useRecorder(interviewId, restMs);
  const time = useNoteTime(recorder);
  const field = useRef<HTMLTextAreaElement>(null);
  useShortcut("n", () => field.current?.focus());
  useShortcut("r", recorder.toggle);

  const lifted = liftTags(text);
  const content = lifted.text || text.trim();
  const write = (next: string) => {
    setText(next);
    if (next.trim() === "") time.letGo();
    else time.hold();
    onWriting(next !== "");
  };
  const submit = () => {
    if (content === "") return;
    onAdd({ content, timestampMs: Math.floor(time.ms), authorName, kind, tags: mergeTags(lifted.tags, splitTags(tagText)) });
    write("");
    setTagText("");
    setKind("note");
    field.current?.focus();
  };
  const onKeyDown = (event: KeyboardEvent<HTMLElement>) => {
    if (event.nativeEvent.isComposing) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      submit();
    } else if (event.key === "Escape" && event.target instanceof HTMLElement) {
      event.target.blur();
    }
  };

  return (
    <form
      aria-label="New note"
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
      className="rounded-2xl border border-line-strong bg-surface shadow-raised focus-within:border-accent"
    >
      <textarea
        ref={field}
        data-testid="composer-input"
        aria-label="Note"
        rows={1}
        maxLength={MAX_CONTENT}
        enterKeyHint="send"
        placeholder="What did you notice? #tag as you go"
        value={text}
        onChange={(event) => write(event.target.value)}
        onKeyDown={onKeyDown}
        className="grows block max-h-[30vh] min-h-11 w-full resize-none bg-transparent px-4 pt-3 pb-1 focus:outline-none"
      />
      <div className="flex flex-wrap items-center gap-x-2 gap-y-1.5 px-2 pb-2">
        <RecorderControl ms={time.ms} isRunning={recorder.isRunning} onToggle={recorder.toggle} onSet={time.setTo} />
        <KindPicker value={kind} onChange={setKind} />
        <input
          data-testid="composer-tags"
          aria-label="Tags"
          list="known-tags"
          placeholder="# tags"
          value={tagText}
          onChange={(event) => setTagText(event.target.value)}
          onKeyDown={onKeyDown}
          className="h-8 min-w-0 flex-1 basis-16 rounded-lg bg-transparent px-2 text-sm focus:bg-sunken focus:outline-none"
        />
        <Button look="primary" type="submit" data-testid="composer-submit" disabled={content === ""} isSmall>
          <Icon name="send" /> <span className="max-sm:sr-only">Add</span>
        </Button>
      </div>
    </form>
  );
}
