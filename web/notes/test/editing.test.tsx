import type { NewNote } from "@chorale/react";
import { act, cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Composer } from "../src/note/composer.tsx";
import type { NoteActions } from "../src/note/note-actions.ts";
import { NoteEditor } from "../src/note/note-editor.tsx";
import { NoteTags } from "../src/note/note-tags.tsx";
import { NoteTime } from "../src/note/note-time.tsx";
import { aNote } from "./note.ts";

beforeEach(() => sessionStorage.clear());
afterEach(cleanup);

/** What an editor asked for, in order. */
function recording() {
  const asked: unknown[][] = [];
  const note =
    (name: string) =>
    (...parts: unknown[]) =>
      void asked.push([name, ...parts]);
  const actions: NoteActions = {
    update: note("update"),
    remove: note("remove"),
    restore: note("restore"),
    edit: note("edit"),
    stopEditing: (one, unsaved) => void asked.push(["stop", one.id, unsaved]),
    touch: () => {},
    keepMine: note("keepMine"),
    dismissConflict: note("dismissConflict"),
    retry: note("retry"),
    dismissRefusal: note("dismissRefusal"),
    showHistory: note("showHistory"),
  };
  return { asked, actions };
}

describe("editing a note", () => {
  const note = aNote({ id: "n1", content: "As it was" });
  const open = (part: { isGone?: boolean; draft?: string } = {}) => {
    const { asked, actions } = recording();
    const editor = (isGone: boolean) => (
      <article tabIndex={-1}>
        <NoteEditor note={note} draft={part.draft} isGone={isGone} actions={actions} />
      </article>
    );
    const { rerender } = render(editor(part.isGone ?? false));
    return { asked, field: screen.getByTestId<HTMLTextAreaElement>("note-editor"), lose: () => rerender(editor(true)) };
  };

  test("Enter saves what changed", () => {
    const { asked, field } = open();
    fireEvent.change(field, { target: { value: " As it is " } });
    fireEvent.keyDown(field, { key: "Enter" });
    expect(asked).toEqual([
      ["update", "n1", { content: "As it is" }],
      ["stop", "n1", undefined],
    ]);
  });
  test("leaving without a change writes nothing", () => {
    const { asked, field } = open();
    field.blur();
    expect(asked).toEqual([["stop", "n1", undefined]]);
  });
  test("Shift + Enter begins a line", () => {
    const { asked, field } = open();
    fireEvent.keyDown(field, { key: "Enter", shiftKey: true });
    expect(asked).toEqual([]);
  });
  test("Escape writes nothing and hands the text over", () => {
    const { asked, field } = open();
    fireEvent.change(field, { target: { value: "Half a thou" } });
    fireEvent.keyDown(field, { key: "Escape" });
    expect(asked).toEqual([["stop", "n1", "Half a thou"]]);
  });
  test("the focus may move to the kinds and the buttons; leaving them all saves, once", () => {
    const { asked, field } = open();
    fireEvent.change(field, { target: { value: "As it is" } });
    const parts = [screen.getByLabelText("Insight"), screen.getByText("Cancel"), screen.getByText("Save")];
    for (const part of parts) act(() => part.focus());
    expect(asked).toEqual([]);
    act(() => (document.activeElement as HTMLElement).blur());
    expect(asked.map(([verb]) => verb)).toEqual(["update", "stop"]);
  });
  test.each(["Enter", "Escape"])("after %s the keyboard is with the note, and nothing is saved twice", (key) => {
    const { asked, field } = open();
    fireEvent.change(field, { target: { value: "As it is" } });
    fireEvent.keyDown(field, { key });
    expect(document.activeElement?.tagName).toBe("ARTICLE");
    expect(asked.filter(([verb]) => verb === "stop")).toHaveLength(1);
    expect(asked.filter(([verb]) => verb === "update")).toHaveLength(key === "Enter" ? 1 : 0);
  });
  test("Escape on a button gives up, too", () => {
    const { asked } = open();
    fireEvent.keyDown(screen.getByText("Save"), { key: "Escape" });
    expect(asked).toEqual([["stop", "n1", undefined]]);
  });
  test("an emptied field does not empty the note", () => {
    const { asked, field } = open();
    fireEvent.change(field, { target: { value: "  " } });
    fireEvent.keyDown(field, { key: "Enter" });
    expect(asked).toEqual([["stop", "n1", undefined]]);
  });
  test("when somebody deletes the note, the text stays and can be brought back with it", () => {
    const { asked, field, lose } = open();
    fireEvent.change(field, { target: { value: "My long text" } });
    lose();
    fireEvent.keyDown(field, { key: "Enter" });
    expect(field.value).toBe("My long text");
    expect(asked).toEqual([]);
    fireEvent.click(screen.getByTestId("deleted-restore"));
    expect(asked[0]).toEqual(["restore", "n1", { content: "My long text" }]);
  });
});

describe("the time of a note", () => {
  const open = () => {
    const times: number[] = [];
    render(
      <article tabIndex={-1}>
        <NoteTime ms={60_000} onChange={(ms) => times.push(ms)} />
      </article>,
    );
    fireEvent.click(screen.getByTestId("note-time"));
    const field = screen.getByTestId("note-time-edit");
    fireEvent.change(field, { target: { value: "02:00" } });
    return { times, field };
  };
  test.each([
    ["Enter", [120_000]],
    ["Escape", []],
  ])("%s leaves the keyboard with the note, and changes the time once or not at all", (key, expected) => {
    const { times, field } = open();
    fireEvent.keyDown(field, { key });
    expect(document.activeElement?.tagName).toBe("ARTICLE");
    expect(times).toEqual(expected);
  });
  test("leaving takes it", () => {
    const { times, field } = open();
    fireEvent.blur(field);
    expect(times).toEqual([120_000]);
  });
});

describe("the composer", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());
  const open = () => {
    const added: NewNote[] = [];
    const composer = (
      <Composer interviewId="i1" authorName="Ada" restMs={60_000} onAdd={(note) => added.push(note)} onWriting={() => {}} />
    );
    const { unmount } = render(composer);
    return { added, unmount, field: () => screen.getByTestId<HTMLTextAreaElement>("composer-input") };
  };

  test("gives a note the time of its first letter, while the clock goes on", () => {
    const { added, field } = open();
    fireEvent.click(screen.getByTestId("recorder-toggle"));
    act(() => void vi.advanceTimersByTime(5_000));
    fireEvent.change(field(), { target: { value: "S" } });
    act(() => void vi.advanceTimersByTime(20_000));
    fireEvent.change(field(), { target: { value: "She sighs #trust" } });
    fireEvent.keyDown(field(), { key: "Enter" });
    expect(added).toEqual([{ content: "She sighs", timestampMs: 65_000, authorName: "Ada", kind: "note", tags: ["trust"] }]);
    expect(screen.getByTestId<HTMLInputElement>("composer-time").value).toBe("01:25");
  });
  test("takes a time that was typed", () => {
    const { added, field } = open();
    const time = screen.getByTestId("composer-time");
    fireEvent.focus(time);
    fireEvent.change(time, { target: { value: "12:34" } });
    fireEvent.blur(time);
    fireEvent.change(field(), { target: { value: "Later" } });
    fireEvent.keyDown(field(), { key: "Enter" });
    expect(added[0]?.timestampMs).toBe(754_000);
  });
  test("sends nothing when there is nothing", () => {
    const { added, field } = open();
    fireEvent.change(field(), { target: { value: "   " } });
    fireEvent.keyDown(field(), { key: "Enter" });
    expect(added).toEqual([]);
  });
  test("keeps an unsent text over Escape and a reload", () => {
    const { field, unmount } = open();
    fireEvent.change(field(), { target: { value: "Not sent yet" } });
    fireEvent.keyDown(field(), { key: "Escape" });
    unmount();
    expect(open().field().value).toBe("Not sent yet");
  });
});

test("a tag field adds what is new and a chip removes its own", () => {
  const changes: (readonly string[])[] = [];
  render(<NoteTags tags={["trust"]} onChange={(tags) => changes.push(tags)} />);
  const field = screen.getByTestId("tag-add");
  fireEvent.change(field, { target: { value: "#Pricing, trust" } });
  fireEvent.keyDown(field, { key: "Enter" });
  fireEvent.click(screen.getByTestId("tag-remove"));
  expect(changes).toEqual([["trust", "pricing"], []]);
});
