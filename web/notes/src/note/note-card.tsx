import type { Conflict, ConnectionSnapshot, MutationFailure, RecordStatus } from "@chorale/client";
import { type Note, useConnection } from "@chorale/react";
import { type KeyboardEvent, type MouseEvent, memo } from "react";
import { Avatar } from "../people/avatar.tsx";
import { IconButton } from "../ui/button.tsx";
import { Icon } from "../ui/icons.tsx";
import { Ago } from "./ago.tsx";
import { focusNeighbourOf } from "./focus.ts";
import { kindOf, type NoteKind } from "./kinds.ts";
import type { NoteActions } from "./note-actions.ts";
import { NoteEditor } from "./note-editor.tsx";
import { NoteTags } from "./note-tags.tsx";
import { NoteTime } from "./note-time.tsx";
import { ConflictNotice, RefusedNotice } from "./notices.tsx";

const LOOKS: Readonly<Record<NoteKind, { card: string; text: string; dot: string; label: string }>> = {
  note: { card: "border-line bg-surface", text: "", dot: "bg-line-strong", label: "text-muted" },
  quote: {
    card: "border-line bg-surface",
    text: "font-serif text-lg border-l-2 border-quote pl-3.5 -ml-px",
    dot: "bg-quote",
    label: "text-quote",
  },
  insight: { card: "border-transparent bg-amber-soft", text: "font-medium", dot: "bg-amber", label: "text-amber" },
  action: { card: "border-transparent bg-accent-soft", text: "", dot: "bg-accent", label: "text-accent" },
};

export interface NoteCardProps {
  note: Note;
  status: RecordStatus | undefined;
  /** The write to it that the server refused. */
  failure: MutationFailure | undefined;
  /** Names of those who edit this note now. */
  editedBy: string | undefined;
  conflicts: readonly Conflict[] | undefined;
  isEditing: boolean;
  draft: string | undefined;
  /** Deleted while it was edited. */
  isGone: boolean;
  /** Came from somebody else just now. */
  isArrival: boolean;
  actions: NoteActions;
}

/** One note: its time in the gutter, and the card. */
export const NoteCard = memo(function NoteCard(props: NoteCardProps) {
  const { note, status, failure, editedBy, conflicts, isEditing, draft, isGone, isArrival, actions } = props;
  const { kind } = kindOf(note.kind);
  const looks = LOOKS[kind];
  const isPending = (status?.pending ?? 0) > 0;
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.target !== event.currentTarget || event.metaKey || event.ctrlKey || event.altKey) return;
    if (event.key === "e") {
      event.preventDefault();
      actions.edit(note);
    } else if (event.key === "h") {
      event.preventDefault();
      actions.showHistory(note);
    } else if (event.key === "Delete") {
      focusNeighbourOf(event.currentTarget);
      actions.remove(note);
    }
  };
  return (
    <article
      id={`note-${note.id}`}
      data-testid="note"
      data-note-id={note.id}
      data-kind={kind}
      data-pending={isPending}
      data-failed={failure !== undefined}
      aria-label={`${kind} by ${note.authorName ?? "somebody"}`}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: j, k, e and Del work on the focused note
      tabIndex={0}
      onKeyDown={onKeyDown}
      className="group grid grid-cols-[3.25rem_1fr] outline-none sm:grid-cols-[4rem_1fr]"
    >
      <div className="pt-2.5 pr-2 text-right">
        <NoteTime ms={note.timestampMs} onChange={(timestampMs) => actions.update(note.id, { timestampMs })} />
      </div>
      <div className="relative min-w-0 border-l border-line pb-3 pl-4 sm:pl-5">
        <span
          aria-hidden="true"
          className={`absolute top-[1.0625rem] -left-[5px] size-[9px] rounded-full ring-4 ring-paper ${looks.dot}`}
        />
        <div
          className={`rounded-xl border px-4 py-2.5 transition-colors group-focus-visible:outline-2 group-focus-visible:outline-accent group-focus-visible:-outline-offset-2 ${looks.card} ${isArrival ? "animate-arrive" : ""} ${failure ? "border-danger!" : ""}`}
        >
          <CardHeader
            note={note}
            kind={kind}
            isPending={isPending}
            editedBy={editedBy}
            isEditing={isEditing}
            actions={actions}
          />
          {isEditing ? (
            <NoteEditor note={note} draft={draft} isGone={isGone} actions={actions} />
          ) : (
            <p
              data-testid="note-content"
              onDoubleClick={() => actions.edit(note)}
              className={`mt-1 whitespace-pre-wrap break-words ${looks.text} ${isPending ? "is-pending" : ""}`}
            >
              {note.content}
            </p>
          )}
          {!isGone && <NoteTags tags={note.tags} onChange={(tags) => actions.update(note.id, { tags })} />}
          {conflicts?.map((conflict) => (
            <ConflictNotice key={conflict.field} conflict={conflict} actions={actions} />
          ))}
          {failure && <RefusedNotice failure={failure} actions={actions} />}
        </div>
      </div>
    </article>
  );
});

interface CardHeaderProps {
  note: Note;
  kind: NoteKind;
  isPending: boolean;
  editedBy: string | undefined;
  isEditing: boolean;
  actions: NoteActions;
}

function CardHeader({ note, kind, isPending, editedBy, isEditing, actions }: CardHeaderProps) {
  const { label, icon } = kindOf(kind);
  const remove = (event: MouseEvent) => {
    focusNeighbourOf(event.currentTarget);
    actions.remove(note);
  };
  return (
    <header className="flex min-h-6 items-center gap-2 text-xs text-muted">
      <Avatar sub={note.authorId} name={note.authorName ?? "?"} size="sm" />
      <span className="truncate font-medium text-ink">{note.authorName ?? "Somebody"}</span>
      {kind !== "note" && (
        <span className={`inline-flex items-center gap-1 font-medium ${LOOKS[kind].label}`}>
          <Icon name={icon} className="size-3.5" />
          <span className="max-sm:sr-only">{label}</span>
        </span>
      )}
      <Ago at={note.createdAt} />
      {isPending && <PendingMark />}
      {editedBy && (
        <span data-testid="editing" className="truncate rounded-full bg-accent-soft px-2 leading-5 text-accent">
          {editedBy} {editedBy.includes(" and ") ? "are" : "is"} editing
        </span>
      )}
      {!isEditing && (
        <div className="-my-2 -mr-2 ml-auto flex opacity-0 transition-opacity group-focus-within:opacity-100 group-hover:opacity-100 pointer-coarse:opacity-100">
          <IconButton icon="edit" label="Edit" data-testid="note-edit" onClick={() => actions.edit(note)} />
          <IconButton icon="history" label="History" data-testid="note-history" onClick={() => actions.showHistory(note)} />
          <IconButton icon="trash" label="Delete" data-testid="note-delete" onClick={remove} />
        </div>
      )}
    </header>
  );
}

/** Why a note is pale: it is on its way, or it waits for one. */
function PendingMark() {
  const isConnected = useConnection(statusIsConnected);
  return (
    <span className="is-pending-label inline-flex items-center gap-1.5 whitespace-nowrap">
      <span aria-hidden="true" className="size-1.5 animate-wait rounded-full bg-amber" />{" "}
      {isConnected ? "saving" : "not sent yet"}
    </span>
  );
}

const statusIsConnected = (connection: ConnectionSnapshot) => connection.status === "connected";
