import type { Note, NoteFields } from "@chorale/react";
import { type FocusEvent, type KeyboardEvent, useEffect, useRef, useState } from "react";
import { useNameOf } from "../people/names.tsx";
import { Button } from "../ui/button.tsx";
import { focusCardOf, focusNeighbourOf } from "./focus.ts";
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

/** Edits a note in its place. Enter and leaving it as a whole save; Escape gives up, and the text can be brought back. */
export function NoteEditor({ note, draft, isGone, actions }: NoteEditorProps) {
  const [before] = useState(note);
  const [content, setContent] = useState(draft ?? note.content);
  const [kind, setKind] = useState(kindOf(note.kind).kind);
  const nameOf = useNameOf();
  const field = useRef<HTMLTextAreaElement>(null);
  const frame = useRef<HTMLDivElement>(null);
  const isDone = useRef(false);
  useFocusAtEnd(field, frame);

  const text = content.trim();
  const patch: Partial<NoteFields> = {
    ...(text !== before.content && text !== "" ? { content: text } : {}),
    ...(kind !== kindOf(before.kind).kind ? { kind } : {}),
  };
  /** Ends once: to give the focus away is a blur, and that is no second save. The keyboard stays with the note, or one beside it. */
  const end = (isByHand: boolean, write: () => void, unsaved?: string) => {
    if (isDone.current) return;
    isDone.current = true;
    if (isByHand) focusCardOf(frame.current);
    write();
    actions.stopEditing(note, unsaved);
  };
  const save = (isByHand: boolean) => {
    if (isGone) return; // there is nothing to save to: the notice below asks what to do
    end(isByHand, () => Object.keys(patch).length > 0 && actions.update(note.id, patch));
  };
  const cancel = () => {
    if (isGone) focusNeighbourOf(frame.current);
    end(!isGone, () => {}, text === before.content ? undefined : text);
  };
  const restore = () => {
    const mine = text === note.content || text === "" ? undefined : { content: text };
    end(true, () => actions.restore(note.id, mine));
  };
  const letGo = () => {
    focusNeighbourOf(frame.current);
    end(false, () => {});
  };
  const onEnter = (event: KeyboardEvent) => {
    if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    save(true);
  };
  const onEscape = (event: KeyboardEvent) => {
    if (event.key !== "Escape" || event.nativeEvent.isComposing) return;
    event.preventDefault();
    cancel();
  };
  const onBlur = (event: FocusEvent<HTMLElement>) => {
    const isWithin = event.currentTarget.contains(event.relatedTarget);
    // Another window took the focus, not another part of this page: the person will come back to where they were.
    const isElsewhere = event.currentTarget.contains(document.activeElement);
    if (!isWithin && !isElsewhere) save(false);
  };

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: Escape and leaving count for the field and its buttons together
    <div ref={frame} onKeyDown={onEscape} onBlur={onBlur} className="mt-1 scroll-mb-8">
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
        onKeyDown={onEnter}
        className="grows block max-h-[60vh] min-h-12 w-full resize-none rounded-lg border border-line-strong bg-paper px-3 py-2 focus:border-accent focus:outline-2 focus:outline-offset-0 focus:outline-accent"
      />
      {isGone ? (
        <GoneNotice onRestore={restore} onLetGo={letGo} />
      ) : (
        <div className="mt-2 flex flex-wrap items-center justify-between gap-2">
          <KindPicker value={kind} onChange={setKind} />
          <div className="flex gap-2">
            <Button onMouseDown={(event) => event.preventDefault()} onClick={cancel} isSmall>
              Cancel
            </Button>
            <Button look="primary" onMouseDown={(event) => event.preventDefault()} onClick={() => save(true)} isSmall>
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

/** Puts the cursor behind the text, and the buttons below it in sight: a browser scrolls to what has the focus only. */
function useFocusAtEnd(
  field: { readonly current: HTMLTextAreaElement | null },
  frame: { readonly current: HTMLElement | null },
) {
  useEffect(() => {
    const { current } = field;
    current?.focus();
    current?.setSelectionRange(current.value.length, current.value.length);
    frame.current?.scrollIntoView({ block: "nearest" });
  }, [field, frame]);
}

/** A notice appears below its field, where a composer or a keyboard may be. */
function scrollToNotice(notice: HTMLElement | null) {
  notice?.scrollIntoView({ block: "center" });
}

function GoneNotice({ onRestore, onLetGo }: { onRestore: () => void; onLetGo: () => void }) {
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
          onClick={onRestore}
          data-testid="deleted-restore"
          isSmall
          className="text-ink"
        >
          Restore with my text
        </Button>
        <Button onMouseDown={(event) => event.preventDefault()} onClick={onLetGo} isSmall className="text-ink">
          Let it go
        </Button>
      </div>
    </div>
  );
}
