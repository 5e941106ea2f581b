import type { Conflict, Rec } from "@chorale/client";
import {
  type InterviewFields,
  type NewNote,
  type Note,
  useChannel,
  useInterviewNotesRealtime,
  usePresence,
} from "@chorale/react";
import { useCallback, useDeferredValue, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import { HistoryDialog } from "../history/history-dialog.tsx";
import { InterviewHeader } from "../interview/interview-header.tsx";
import { editorsOf, type InterviewPresence, type Person, peopleOf, writersOf } from "../people/doing.ts";
import { NamesContext } from "../people/names.tsx";
import { listNames } from "../people/person.ts";
import type { Identity } from "../session/session.ts";
import { usePageTitle } from "../ui/page.tsx";
import { useFoot } from "../ui/use-foot.ts";
import { UndoTools } from "../undo/undo-tools.tsx";
import { Composer } from "./composer.tsx";
import { addConflict } from "./conflict-text.ts";
import { type Author, authorsOf, countTags, EVERYTHING, filterNotes, isFiltering, type Tag } from "./filter.ts";
import { FilterBar } from "./filter-bar.tsx";
import { useKeptFailures } from "./kept-failures.tsx";
import { Nothing } from "./nothing.tsx";
import { RefusedNew } from "./refused-new.tsx";
import type { Reveal } from "./row-list.tsx";
import type { Editing } from "./rows.ts";
import { Timeline } from "./timeline.tsx";
import { useArrivals } from "./use-arrivals.ts";
import { useDoing } from "./use-doing.ts";
import { useNoteActions } from "./use-note-actions.ts";

interface NotesPanelProps {
  projectId: string;
  interview: Rec<InterviewFields>;
  identity: Identity;
}

/** An interview's notes: filter, timeline, composer. */
export function NotesPanel({ projectId, interview, identity }: NotesPanelProps) {
  usePageTitle(interview.title);
  const channel = `interview:${interview.id}`;
  const isLive = interview.status === "live";
  const { status } = useChannel(channel);
  const [filter, setFilter] = useState(EVERYTHING);
  const [editing, setEditing] = useState<Editing>();
  const [withHistory, showHistory] = useState<Note>();
  const [conflicts, setConflicts] = useState<readonly Conflict[]>([]);
  const presence = useOwnPresence(channel, identity);
  const say = useDoing(presence.update);

  const notes = useInterviewNotesRealtime(interview.id, {
    onConflict: (conflict) => setConflicts((before) => addConflict(before, conflict)),
  });
  const { failures, forget } = useKeptFailures(channel);
  const actions = useNoteActions({ notes, setEditing, setConflicts, showHistory, say, forget });
  const all = notes.notes;
  const shown = useMemo(() => filterNotes(all, filter), [all, filter]);
  const arrivals = useArrivals(all, notes.isLoading, identity.sub);
  const editedBy = useMemo(() => editorsOf(presence.members, listNames), [presence.members]);
  const list = useRef<HTMLDivElement>(null);
  const foot = useRef<HTMLDivElement>(null);
  useFoot(foot);
  const revealer = useRef<Reveal>(() => {});
  const scrollTo = useScroll(list, revealer, all, notes.isLoading, isLive);
  const { authors, tags } = useSummary(all);
  const names = useNames(authors, presence.people);
  const add = (note: NewNote) => {
    if (isFiltering(filter)) setFilter(EVERYTHING); // else one's own note might not be seen
    scrollTo(notes.addNote(note).recordId);
  };

  return (
    <NamesContext value={names}>
      <main className="flex min-h-0 flex-1 flex-col">
        <div className="border-b border-line px-4 pt-2 pb-2.5 sm:px-8 md:pt-6">
          <div className="mx-auto max-w-3xl space-y-2.5">
            <InterviewHeader
              projectId={projectId}
              interview={interview}
              people={presence.people}
              tools={<UndoTools channel={channel} onChanged={scrollTo} />}
            />
            {all.length > 0 && <FilterBar authors={authors} tags={tags} filter={filter} onChange={setFilter} />}
          </div>
        </div>
        <div ref={list} className="min-h-0 flex-1 overflow-y-auto fade-below overscroll-contain px-2 sm:px-8">
          <div className="mx-auto max-w-3xl pt-4 pb-6">
            <Nothing
              isLoading={notes.isLoading}
              isRefused={status === "refused"}
              isLive={isLive}
              hasNotes={all.length > 0}
              hasMatches={shown.length > 0 || editing !== undefined}
              onClear={() => setFilter(EVERYTHING)}
            />
            <Timeline
              shown={shown}
              all={all}
              editing={editing}
              arrivals={arrivals}
              conflicts={conflicts}
              noteStatus={notes.noteStatus}
              failures={failures}
              editedBy={editedBy}
              actions={actions}
              scroller={list}
              revealer={revealer}
            />
          </div>
        </div>
        <div
          ref={foot}
          className={`px-2 pb-[max(0.5rem,env(safe-area-inset-bottom))] sm:px-8 sm:pb-4 ${editing ? "max-sm:hidden" : ""}`}
        >
          <div className="mx-auto max-w-3xl">
            {!notes.isLoading && <RefusedNew failures={failures} notes={all} actions={actions} />}
            <TypingLine names={writersOf(presence.members)} />
            <Composer
              interviewId={interview.id}
              authorName={identity.name}
              restMs={isLive ? (all.at(-1)?.timestampMs ?? 0) : 0}
              onAdd={add}
              onWriting={(isWriting) => say(isWriting ? "writing" : "reading")}
            />
          </div>
        </div>
        <KnownTags tags={tags} />
        {withHistory && (
          <HistoryDialog
            interviewId={interview.id}
            note={notes.notes.find(({ id }) => id === withHistory.id) ?? withHistory}
            onUse={(content) => {
              showHistory(undefined);
              actions.update(withHistory.id, { content });
            }}
            onClose={() => showHistory(undefined)}
          />
        )}
      </main>
    </NamesContext>
  );
}

/** Takes part in the interview's presence, under the name that one has now. */
function useOwnPresence(channel: string, { name, sub }: Identity) {
  const { members, update } = usePresence<InterviewPresence>(channel, { name, sub, doing: "reading", noteId: "" });
  useEffect(() => update({ name, sub }), [update, name, sub]);
  const people = useMemo(() => peopleOf(members), [members]);
  return { members, people, update };
}

/** Who wrote, and under which tags. That may come a frame after the note: who has written one waits for that alone. */
function useSummary(notes: readonly Note[]) {
  const later = useDeferredValue(notes);
  return useMemo(() => ({ authors: authorsOf(later), tags: countTags(later) }), [later]);
}

/** Names by token `sub`, as far as notes and presence tell them. */
function useNames(authors: readonly Author[], people: readonly Person[]): ReadonlyMap<string, string> {
  return useMemo(() => new Map([...authors, ...people].map(({ sub, name }) => [sub, name])), [authors, people]);
}

/** Begins at the end of a live interview, and returns a function that goes to a note once it is there. */
function useScroll(
  list: { readonly current: HTMLElement | null },
  revealer: { readonly current: Reveal },
  notes: readonly Note[],
  isLoading: boolean,
  isLive: boolean,
): (noteId: string) => void {
  const wanted = useRef<string>(undefined);
  const hasBegun = useRef(false);
  useLayoutEffect(() => {
    const { current } = list;
    if (!current || isLoading) return;
    if (!hasBegun.current && isLive) scrollToEnd(current);
    hasBegun.current = true;
    if (wanted.current === undefined || !notes.some((note) => note.id === wanted.current)) return;
    revealer.current(wanted.current);
    wanted.current = undefined;
  }, [list, revealer, notes, isLoading, isLive]);
  return useCallback((noteId) => {
    wanted.current = noteId;
  }, []);
}

/**
 * Rows that were not on the screen yet have a guessed height, which becomes true some frames after they came into sight: the end is
 * where it stays for a few of them.
 */
function scrollToEnd(list: HTMLElement, frames = 30, still = 0) {
  const before = list.scrollHeight;
  list.scrollTop = before;
  requestAnimationFrame(() => {
    const next = list.scrollHeight === before ? still + 1 : 0;
    if (frames > 0 && next < 5) scrollToEnd(list, frames - 1, next);
  });
}

function TypingLine({ names }: { names: readonly string[] }) {
  if (names.length === 0) return <p className="h-5" />;
  return (
    <p data-testid="typing" className="h-5 truncate px-4 text-xs text-muted">
      {listNames(names)} {names.length === 1 ? "is" : "are"} writing…
    </p>
  );
}

/** What the tag fields suggest. */
function KnownTags({ tags }: { tags: readonly Tag[] }) {
  return (
    <datalist id="known-tags">
      {tags.map(({ tag }) => (
        <option key={tag} value={tag} />
      ))}
    </datalist>
  );
}
