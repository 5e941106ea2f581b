import type { Note, NoteFields } from "@chorale/react";
import { type KeyboardEvent, useEffect, useRef, useState } from "react";
import { useNameOf } from "../people/names.tsx";
import { Button } from "../ui/button.tsx";
import { KindPicker } from "./kind-picker.tsx";
import { kindOf } from "./kinds.ts";
import { MAX_CONTENT } from "./limits.ts";
import type { NoteActions } from "./note-actions.ts";

interface NoteEditorProps {
  note: Note;
  /** What was left off earlier, to begin with. */
  draft: string | undefined;
  /** The note was deleted while it was edited: the text is all there is. */
  isGone: boolean;
  actions: NoteActions;
}

/** Edits a note in its place. Enter and leaving save; Escape gives up, and the text can be brought back. */
export function NoteEditor({ note, draft, isGone, actions }: NoteEditorProps) {
  const [before] = useState(note);
  const [content, setContent] = useState(draft ?? note.content);
  const [kind, setKind] = useState(kindOf(note.kind).kind);
  const nameOf = useNameOf();
  const field = useRef<HTMLTextAreaElement>(null);
  useFocusAtEnd(field);

  const text = content.trim();
  const patch: Partial<NoteFields> = {
    ...(text !== before.content && text !== "" ? { content: text } : {}),
    ...(kind !== kindOf(before.kind).kind ? { kind } : {}),
  };
  const save = () => {
    if (isGone) return; // there is nothing to save to: the notice below asks what to do
    if (Object.keys(patch).length > 0) actions.update(note.id, patch);
    actions.stopEditing(note);
  };
  const cancel = () => actions.stopEditing(note, text === before.content ? undefined : text);
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      save();
    } else if (event.key === "Escape") {
      event.preventDefault();
      cancel();
    }
  };
  const onBlur = () => {
    // Another window took the focus, not another part of this page: the person will come back to this field.
    if (document.activeElement !== field.current) save();
  };

  return (
    <div className="mt-1">
      <textarea
        ref={field}
        data-testid="note-editor"
        aria-label="Note"
        maxLength={MAX_CONTENT}
        value={content}
        onChange={(event) => {
          setContent(event.target.value);
          actions.touch(note.id);
        }}
        onKeyDown={onKeyDown}
        onBlur={onBlur}
        className="grows block max-h-[60vh] min-h-12 w-full resize-none rounded-lg border border-line-strong bg-paper px-3 py-2 focus:border-accent focus:outline-2 focus:outline-offset-0 focus:outline-accent"
      />
      {isGone ? (
        <GoneNotice note={note} text={text} actions={actions} />
      ) : (
        <div className="mt-2 flex flex-wrap items-center justify-between gap-2">
          <KindPicker value={kind} onChange={setKind} />
          <div className="flex gap-2">
            <Button onMouseDown={(event) => event.preventDefault()} onClick={cancel} isSmall>
              Cancel
            </Button>
            <Button look="primary" onMouseDown={(event) => event.preventDefault()} onClick={save} isSmall>
              Save
            </Button>
          </div>
        </div>
      )}
      {!isGone && note.content !== before.content && (
        <p role="status" className="mt-2 rounded-lg bg-amber-soft px-3 py-2 text-sm text-amber">
          {nameOf(note.updatedBy)} changed this note meanwhile: “{note.content}”. Saving puts yours in its place.
        </p>
      )}
    </div>
  );
}

function useFocusAtEnd(field: { readonly current: HTMLTextAreaElement | null }) {
  useEffect(() => {
    const { current } = field;
    current?.focus();
    current?.setSelectionRange(current.value.length, current.value.length);
  }, [field]);
}

/** A notice appears below its field, where a composer or a keyboard may be. */
function scrollToNotice(notice: HTMLElement | null) {
  notice?.scrollIntoView({ block: "center" });
}

function GoneNotice({ note, text, actions }: { note: Note; text: string; actions: NoteActions }) {
  const restore = () => {
    actions.restore(note.id, text === note.content || text === "" ? undefined : { content: text });
    actions.stopEditing(note);
  };
  return (
    <div
      ref={scrollToNotice}
      role="alert"
      data-testid="deleted-notice"
      className="mt-2 rounded-lg bg-danger-soft px-3 py-2 text-sm text-danger"
    >
      <p>Somebody deleted this note while you were editing it. Your text is still here.</p>
      <div className="mt-2 flex flex-wrap gap-2">
        <Button
          onMouseDown={(event) => event.preventDefault()}
          onClick={restore}
          data-testid="deleted-restore"
          isSmall
          className="text-ink"
        >
          Restore with my text
        </Button>
        <Button
          onMouseDown={(event) => event.preventDefault()}
          onClick={() => actions.stopEditing(note)}
          isSmall
          className="text-ink"
        >
          Let it go
        </Button>
      </div>
    </div>
  );
}
