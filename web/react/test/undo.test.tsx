import { useCollection, useInterviewNotesRealtime } from "@chorale/react";
import { useUndo } from "@chorale/react/undo";
import { act, render, renderHook } from "@testing-library/react";
import { StrictMode } from "react";
import { renderToString } from "react-dom/server";
import { expect, test } from "vitest";
import { aServer } from "./server.ts";
import { within } from "./within.tsx";

interface Item {
  title: string;
}

/** A list as somebody has it on the screen. */
function listOf(client: ReturnType<ReturnType<typeof aServer>["client"]>) {
  let renders = 0;
  const { result, unmount } = renderHook(
    () => {
      renders++;
      return { ...useCollection<Item>("list", "items"), ...useUndo("list", "items") };
    },
    { wrapper: within(client) },
  );
  return { now: () => result.current, renders: () => renders, unmount };
}

test("[U1] [U2] own writes are taken back and done again, others' stay, and the buttons know", async () => {
  const { client, pass } = aServer();
  const [ada, ben] = [listOf(client("ada")), listOf(client("ben"))];
  await pass(1_000);
  expect([ada.now().canUndo, ada.now().canRedo, ada.now().undo()]).toEqual([false, false, undefined]);
  act(() => void ben.now().add({ id: "i1", title: "first" }));
  await pass(1_000);
  act(() => void ada.now().patch("i1", { title: "Ada's" }));
  await pass(1_000);
  expect([ada.now().canUndo, ben.now().canUndo]).toEqual([true, true]);
  act(() => void ada.now().undo());
  expect([ada.now().byId.get("i1")?.title, ada.now().canUndo, ada.now().canRedo]).toEqual(["first", false, true]);
  await pass(1_000);
  act(() => void ada.now().redo());
  await pass(1_000);
  act(() => void ben.now().patch("i1", { title: "Ben's" }));
  await pass(1_000);
  let skipped: unknown;
  act(() => {
    skipped = ada.now().undo()?.skipped;
  });
  expect(skipped).toEqual([{ collection: "items", recordId: "i1", name: "title", reason: "changed" }]);
  await pass(1_000);
  expect([ada.now().byId.get("i1")?.title, ada.now().canUndo]).toEqual(["Ben's", false]);
});

test("[U5] a group is one step, whatever it returns, and functions are stable", async () => {
  const { client, pass } = aServer();
  const { now } = listOf(client("ada"));
  await pass(1_000);
  const { undo, redo, group, untracked, clear } = now();
  act(() => {
    group(() => {
      now().add({ id: "i1", title: "one" });
      now().add({ id: "i2", title: "two" });
    });
    untracked(() => void now().add({ id: "i3", title: "three" }));
  });
  expect(now().records.map(({ id }) => id)).toEqual(["i1", "i2", "i3"]);
  act(() => void undo());
  expect(now().records.map(({ id }) => id)).toEqual(["i3"]);
  expect(now()).toMatchObject({ undo, redo, group, untracked, clear, canRedo: true });
  act(() => clear());
  expect(now()).toMatchObject({ canUndo: false, canRedo: false });
});

test("components share the steps of a channel, whichever hook wrote, also under StrictMode; they end with the last of them", async () => {
  const { client, pass, sent, platform } = aServer();
  const ada = client("ada");
  const seen: Record<string, ReturnType<typeof useUndo>> = {};
  const notes: { current?: ReturnType<typeof useInterviewNotesRealtime> } = {};
  function Button({ name }: { name: string }) {
    seen[name] = useUndo("interview:1", "notes");
    return null;
  }
  function Notes() {
    notes.current = useInterviewNotesRealtime("1");
    return null;
  }
  const tree = (names: readonly string[]) => (
    <StrictMode>
      <Notes />
      {names.map((name) => (
        <Button key={name} name={name} />
      ))}
    </StrictMode>
  );
  const { rerender, unmount } = render(tree(["a", "b"]), { wrapper: within(ada) });
  await pass(1_000);
  act(() => void notes.current?.addNote({ id: "n1", content: "mine", timestampMs: 0, authorName: "Ada" }));
  expect([seen.a?.canUndo, seen.b?.canUndo]).toEqual([true, true]);
  rerender(tree(["b"]));
  act(() => void seen.b?.undo());
  expect([notes.current?.notes, seen.b?.canRedo]).toEqual([[], true]);
  rerender(tree([]));
  rerender(tree(["c"]));
  expect(seen.c).toMatchObject({ canUndo: false, canRedo: false });
  expect(sent("phx_join", "interview:1")).toBe(1);
  unmount();
  await pass(5_000);
  expect(ada.channels.list()).toEqual([]);
  expect(platform.errors).toEqual([]);
});

test("another collection or channel begins with no steps, and without a channel there are none", async () => {
  const { client, pass } = aServer();
  const ada = client("ada");
  const { result, rerender } = renderHook(
    ({ channel, names }: { channel: string | undefined; names: readonly string[] }) => ({
      items: useCollection<Item>("list", "items"),
      undo: useUndo(channel, names, { captureMs: 0, limit: 2 }),
    }),
    { wrapper: within(ada), initialProps: { channel: "list" as string | undefined, names: ["items", "others"] } },
  );
  await pass(1_000);
  act(() => {
    const { recordId } = result.current.items.add({ title: "0" });
    for (const title of ["1", "2", "3"]) result.current.items.patch(recordId, { title });
  });
  act(() => void result.current.undo.undo());
  act(() => void result.current.undo.undo());
  expect([result.current.items.records[0]?.title, result.current.undo.canUndo]).toEqual(["1", false]);
  const { undo } = result.current;
  rerender({ channel: "list", names: ["items", "others"] });
  expect(result.current.undo).toBe(undo);
  rerender({ channel: "list", names: ["items"] });
  expect(result.current.undo).toMatchObject({ canUndo: false, canRedo: false });
  rerender({ channel: undefined, names: ["items"] });
  expect([result.current.undo.undo(), result.current.undo.group(() => 7)]).toEqual([undefined, 7]);
});

test("a server renders that there is nothing to undo", () => {
  const { client } = aServer();
  const Wrapper = within(client("ada"));
  function Button() {
    return <button type="button" disabled={!useUndo("list", "items").canUndo} />;
  }
  expect(
    renderToString(
      <Wrapper>
        <Button />
      </Wrapper>,
    ),
  ).toContain("disabled");
});
