import type { Note } from "@chorale/react";
import { useDeferredValue, useEffect, useRef, useState } from "react";
import { arrivalsOf } from "./arrivals.ts";

const NONE: readonly Note[] = [];

/** What others added last, since the first notes were loaded. */
export function useArrivals(shown: readonly Note[], isShownLoading: boolean, me: string): readonly Note[] {
  // A burst comes in several renders. What is deferred is looked at when there is time for it, and tells the burst as one.
  const notes = useDeferredValue(shown);
  const isLoading = useDeferredValue(isShownLoading);
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
