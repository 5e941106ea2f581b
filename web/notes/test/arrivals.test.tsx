import type { Note } from "@chorale/react";
import { renderHook } from "@testing-library/react";
import { useSyncExternalStore } from "react";
import { createRoot } from "react-dom/client";
import { expect, it } from "vitest";
import { useArrivals } from "../src/note/use-arrivals.ts";
import { aNote } from "./note.ts";

/** More than React lets follow each other without a pause: it takes them for a loop. */
const BURST = 200;

/** Notes that come in, each told at once, as the SDK does. */
class Incoming {
  #notes: readonly Note[] = [];
  #tell = () => {};
  readonly subscribe = (tell: () => void) => {
    this.#tell = tell;
    return () => {};
  };
  readonly get = () => this.#notes;
  add(note: Note): void {
    this.#notes = [...this.#notes, note];
    this.#tell();
  }
}

async function open(incoming: Incoming) {
  const told = new Set<string>();
  function Panel() {
    const notes = useSyncExternalStore(incoming.subscribe, incoming.get);
    for (const { id } of useArrivals(notes, false, "me")) told.add(id);
    return <p>{notes.length}</p>;
  }
  const element = document.createElement("div");
  const root = createRoot(element);
  root.render(<Panel />);
  await expect.poll(() => element.textContent).toBe("0");
  return { told, element, close: () => root.unmount() };
}

it("a burst of notes, each in a message of its own, is told without rendering in a circle", async () => {
  const incoming = new Incoming();
  const { told, element, close } = await open(incoming);
  for (let i = 0; i < BURST; i++) {
    incoming.add(aNote({ id: `n${i}`, authorId: "ben" }));
    await Promise.resolve(); // React renders; what it puts off has to wait for the end of the burst
  }
  await expect.poll(() => told.size).toBe(BURST);
  expect(element.textContent).toBe(String(BURST));
  close();
});

it("what was there when the notes were loaded has not arrived", () => {
  const [old, late] = [aNote({ id: "old" }), aNote({ id: "late" })];
  const { result, rerender } = renderHook(({ notes, isLoading }) => useArrivals(notes, isLoading, "me"), {
    initialProps: { notes: [] as Note[], isLoading: true },
  });
  rerender({ notes: [old], isLoading: false });
  expect(result.current).toEqual([]);
  rerender({ notes: [old, late], isLoading: false });
  expect(result.current).toEqual([late]);
});
