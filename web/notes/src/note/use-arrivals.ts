import type { Note } from "@chorale/react";
import { useEffect, useRef, useState } from "react";
import { arrivalsOf } from "./arrivals.ts";

const NONE: readonly Note[] = [];

/** What others added last, since the first notes were loaded. */
export function useArrivals(notes: readonly Note[], isLoading: boolean, me: string): readonly Note[] {
  const known = useRef<Set<string>>(undefined);
  const [arrivals, setArrivals] = useState(NONE);
  useEffect(() => {
    if (isLoading) return;
    const before = known.current;
    if (!before) {
      known.current = new Set(notes.map((note) => note.id));
      return;
    }
    const arrived = arrivalsOf(notes, before, me);
    // What has come is added rather than all made anew: there may be ten thousand.
    for (const { id } of notes) before.add(id);
    if (arrived.length > 0) setArrivals(arrived);
  }, [notes, isLoading, me]);
  return arrivals;
}
