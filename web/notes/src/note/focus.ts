/** Gives the keyboard back to the note that something is part of, without scrolling: the person is looking at it. */
export function focusCardOf(part: Element | null): void {
  part?.closest<HTMLElement>("article")?.focus({ preventScroll: true });
}

/** Keeps the keyboard where it was when the note that something is part of goes away. */
export function focusNeighbourOf(part: Element | null): void {
  const row = part?.closest("li.note-row");
  const neighbour = row?.nextElementSibling ?? row?.previousElementSibling;
  neighbour?.querySelector<HTMLElement>("article")?.focus();
}
