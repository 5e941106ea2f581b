import type { Note } from "@chorale/react";
import { defaultRangeExtractor, type Range, useVirtualizer } from "@tanstack/react-virtual";
import { type ReactNode, type RefObject, useCallback, useLayoutEffect, useMemo, useState } from "react";
import { useShortcut } from "../keyboard/use-shortcut.ts";

/** Brings the note with this id into sight. */
export type Reveal = (noteId: string) => void;

interface RowListProps {
  notes: readonly Note[];
  revealer: RefObject<Reveal>;
  card: (note: Note) => ReactNode;
}

/** Every row in the page; the browser passes over those that nobody sees (`content-visibility`). */
export function AllRows({ notes, revealer, card }: RowListProps) {
  useRevealer(revealer, reveal);
  useRowKeys((step) => {
    const cards = [...document.querySelectorAll<HTMLElement>("article[data-note-id]")];
    const at = cards.findIndex((each) => each.contains(document.activeElement));
    focusCard(at === -1 ? (step === 1 ? cards[0] : cards.at(-1)) : cards[at + step]);
  });
  return (
    <ol aria-label="Notes" data-testid="timeline">
      {notes.map((note) => (
        <li key={note.id} className="note-row">
          {card(note)}
        </li>
      ))}
    </ol>
  );
}

/** What a row is taken for until it was seen, in px, and how many are kept ready around those on the screen. */
const ROW_PX = 136;
const OVERSCAN = 4;
/** How long is waited for a row to be made, in frames. */
const FRAMES = 30;

interface WindowedRowsProps extends RowListProps {
  editedId: string | undefined;
  scroller: RefObject<HTMLElement | null>;
}

/**
 * The rows on the screen and a few around it, in the place where they would be among all. The one that is edited and the one that has
 * the focus stay in the page wherever it is scrolled to: a draft and the keyboard's place are in them.
 */
export function WindowedRows({ notes, editedId, scroller, revealer, card }: WindowedRowsProps) {
  const [focusedId, setFocusedId] = useState<string>();
  const indexOf = (id: string | undefined) => (id === undefined ? -1 : notes.findIndex((note) => note.id === id));
  const pinned = useMemo(
    () => notes.flatMap(({ id }, index) => (id === editedId || id === focusedId ? [index] : [])),
    [notes, editedId, focusedId],
  );
  // The same function for the same notes: with another one all rows are placed anew, and a scroll renders this each frame.
  const keyOf = useCallback((index: number) => notes[index]?.id ?? index, [notes]);
  const virtualizer = useVirtualizer<HTMLElement, HTMLLIElement>({
    count: notes.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PX,
    getItemKey: keyOf,
    overscan: OVERSCAN,
    rangeExtractor: (range: Range) => [...new Set([...defaultRangeExtractor(range), ...pinned])].sort((a, b) => a - b),
    useFlushSync: false,
  });

  const bring = (index: number, arrived: (element: HTMLElement) => void) => {
    const id = notes[index]?.id;
    if (id === undefined) return;
    if (!document.getElementById(`note-${id}`)) virtualizer.scrollToIndex(index, { align: "auto" });
    whenThere(`note-${id}`, arrived);
  };
  useRevealer(revealer, (id) =>
    bring(indexOf(id), (element) => element.scrollIntoView({ block: "nearest", behavior: "smooth" })),
  );
  useRowKeys((step) => {
    const at = indexOf(document.activeElement?.closest<HTMLElement>("article[data-note-id]")?.dataset.noteId);
    bring(at === -1 ? (step === 1 ? 0 : notes.length - 1) : at + step, focusCard);
  });
  return (
    <ol
      aria-label="Notes"
      data-testid="timeline"
      className="relative"
      style={{ height: virtualizer.getTotalSize() }}
      onFocus={({ target }) => setFocusedId(target.closest<HTMLElement>("article[data-note-id]")?.dataset.noteId)}
      onBlur={() => setFocusedId(undefined)}
    >
      {virtualizer.getVirtualItems().map(({ key, index, start }) => {
        const note = notes[index];
        return (
          note && (
            <li
              key={key}
              ref={virtualizer.measureElement}
              data-index={index}
              aria-posinset={index + 1}
              aria-setsize={notes.length}
              className="note-row absolute top-0 left-0 w-full"
              // Its height is measured, so nothing about it may be guessed.
              style={{ transform: `translateY(${start}px)`, contentVisibility: "visible" }}
            >
              {card(note)}
            </li>
          )
        );
      })}
    </ol>
  );
}

function useRevealer(revealer: RefObject<Reveal>, reveal: Reveal) {
  useLayoutEffect(() => {
    revealer.current = reveal;
  });
}

/** j and k. */
function useRowKeys(move: (step: 1 | -1) => void) {
  useShortcut("j", () => move(1));
  useShortcut("k", () => move(-1));
}

function reveal(noteId: string) {
  document.getElementById(`note-${noteId}`)?.scrollIntoView({ block: "nearest", behavior: "smooth" });
}

function focusCard(card: HTMLElement | undefined) {
  card?.focus({ preventScroll: true });
  card?.scrollIntoView({ block: "nearest" });
}

function whenThere(id: string, act: (element: HTMLElement) => void, frames = FRAMES) {
  const element = document.getElementById(id);
  if (element) act(element);
  else if (frames > 0) requestAnimationFrame(() => whenThere(id, act, frames - 1));
}
