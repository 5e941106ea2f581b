import type { Skipped, Undone } from "@chorale/client/undo";
import { cleanup, fireEvent, render } from "@testing-library/react";
import { afterEach, describe, expect, test, vi } from "vitest";
import { type Direction, describeUndone } from "../src/undo/undo-text.ts";
import { useUndoKeys } from "../src/undo/use-undo-keys.ts";

afterEach(cleanup);

function undone(changed: Undone["changed"], skipped: readonly Skipped[] = []): Undone {
  return { changed, skipped, settled: Promise.resolve(skipped) };
}
const changed = (op: "patch" | "delete" | "restore") => [{ collection: "notes", recordId: "n1", op }];
const skipped = (reason: Skipped["reason"]) => [{ collection: "notes", recordId: "n1", name: "content", reason }];

describe("what is said of an undo", () => {
  test.each<[Direction, Undone | undefined, string]>([
    ["undo", undefined, "Nothing to undo"],
    ["redo", undefined, "Nothing to redo"],
    ["undo", undone(changed("patch")), "Change undone"],
    ["undo", undone(changed("delete")), "Note taken back"],
    ["undo", undone(changed("restore")), "Note is back"],
    ["redo", undone(changed("patch")), "Change made again"],
    ["undo", undone([], skipped("changed")), "Somebody else has changed that since, and theirs stays"],
    ["undo", undone([], skipped("deleted")), "The note was deleted"],
    [
      "undo",
      undone(changed("patch"), skipped("changed")),
      "Change undone, but not all: somebody else has changed that since, and theirs stays",
    ],
  ])("%s of %o: %s", (which, done, text) => {
    expect(describeUndone(which, done)).toBe(text);
  });
});

describe("the keys of undo", () => {
  function Page({ act }: { act: (which: Direction) => void }) {
    useUndoKeys(act);
    return (
      <>
        <textarea aria-label="text" defaultValue="typed" />
        <input aria-label="empty" />
        <input type="checkbox" aria-label="box" />
      </>
    );
  }
  const page = () => {
    const act = vi.fn();
    const { getByLabelText } = render(<Page act={act} />);
    const press = (where: string | undefined, keys: KeyboardEventInit) => {
      act.mockClear();
      const isTheBrowsers = fireEvent.keyDown(where === undefined ? document.body : getByLabelText(where), keys);
      return isTheBrowsers ? "the browser's" : act.mock.calls.flat().join();
    };
    return { press, getByLabelText };
  };

  test("are Ctrl or Cmd and Z, with Shift or as Ctrl and Y the other way, and no others", () => {
    const { press } = page();
    expect(press(undefined, { key: "z", ctrlKey: true })).toBe("undo");
    expect(press(undefined, { key: "z", metaKey: true })).toBe("undo");
    expect(press(undefined, { key: "Z", metaKey: true, shiftKey: true })).toBe("redo");
    expect(press(undefined, { key: "y", ctrlKey: true })).toBe("redo");
    for (const keys of [{ key: "z" }, { key: "y", metaKey: true }, { key: "z", ctrlKey: true, altKey: true }])
      expect(press(undefined, keys)).toBe("the browser's");
  });

  test("are the field's where there is text, or was until it was deleted, and else the page's", () => {
    const { press, getByLabelText } = page();
    expect(press("text", { key: "z", ctrlKey: true })).toBe("the browser's");
    expect(press("empty", { key: "z", ctrlKey: true })).toBe("undo");
    expect(press("box", { key: "z", ctrlKey: true })).toBe("undo");
    const field = getByLabelText("empty") as HTMLInputElement;
    fireEvent.input(field, { target: { value: "a" } });
    expect(press("empty", { key: "z", ctrlKey: true })).toBe("the browser's");
    fireEvent.input(field, { target: { value: "" } });
    expect(press("empty", { key: "z", ctrlKey: true })).toBe("the browser's");
    fireEvent.input(field, { target: { value: "sent" } });
    field.value = ""; // as the app does when it has sent it
    expect(press("empty", { key: "z", ctrlKey: true })).toBe("undo");
  });
});
