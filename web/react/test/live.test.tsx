import { act, render, renderHook } from "@testing-library/react";
import { StrictMode, startTransition, useLayoutEffect, useState } from "react";
import { describe, expect, test } from "vitest";
import {
  useBroadcast,
  useCollection,
  useInterviewNotesBroadcast,
  useInterviewNotesRealtime,
  usePresence,
  useRealtime,
  useRecord,
} from "../src/index.ts";
import { aServer } from "./server.ts";
import { within } from "./within.tsx";

const draft = { content: "Pricing is confusing", timestampMs: 61_000, authorName: "Ada" };

/** An interview as somebody has it on the screen; `shown` has what each render showed. */
function interviewOf(client: ReturnType<ReturnType<typeof aServer>["client"]>, shown: string[] = []) {
  const { result, unmount } = renderHook(
    () => {
      const interview = useInterviewNotesRealtime("1");
      shown.push(interview.notes.map(({ content }) => content).join(", "));
      return { ...interview, ...useRealtime(), error: interview.error };
    },
    { wrapper: within(client) },
  );
  return { current: () => result.current, unmount };
}

describe("with a server", () => {
  test("[trap 35] StrictMode and 100 remounts are one join, and a moment after the last one leaves", async () => {
    const { client, pass, sent, platform, server } = aServer();
    const ada = client("ada");
    function Room() {
      usePresence("room", { name: "Ada" });
      useBroadcast("room", "wave", () => {});
      useRecord("room", "items", "1");
      return null;
    }
    const tree = (key: number) => (
      <StrictMode>
        <Room key={key} />
      </StrictMode>
    );
    const { rerender, unmount } = render(tree(0), { wrapper: within(ada) });
    await pass(1_000);
    for (let key = 1; key <= 100; key++) {
      rerender(tree(key));
      await pass(10);
    }
    expect(sent("phx_join", "room")).toBe(1);
    expect(sent("phx_leave", "room")).toBe(0);
    unmount();
    await pass(1_000);
    expect(sent("phx_leave", "room")).toBe(1);
    expect(ada.channels.list()).toEqual([]);
    expect([server.sockets, platform.timers]).toEqual([0, 0]);
    expect(platform.errors).toEqual([]);
  });

  test("the last component that takes part in presence takes its state along, though the channel is still held", async () => {
    const { client, pass } = aServer();
    const ben = renderHook(() => usePresence("room").members.map(({ state }) => state.name), {
      wrapper: within(client("ben")),
    });
    function Person({ self }: { self: boolean }) {
      usePresence({ name: "room", self }, { name: "Ada" });
      return null;
    }
    const tree = (people: readonly boolean[]) => (
      <>
        <Watcher />
        {people.map((self) => (
          <Person key={String(self)} self={self} />
        ))}
      </>
    );
    function Watcher() {
      usePresence({ name: "room", ack: false });
      return null;
    }
    const { rerender } = render(tree([true, false]), { wrapper: within(client("ada")) });
    await pass(500);
    expect(ben.result.current).toEqual(["Ada"]);
    rerender(tree([true]));
    await pass(5_000);
    expect(ben.result.current).toEqual(["Ada"]);
    rerender(tree([]));
    await pass(500);
    expect(ben.result.current).toEqual([]);
  });

  test("[R6] an own note is shown at once, never twice, and does not vanish and come back", async () => {
    const { client, pass } = aServer();
    const shown: string[] = [];
    const { current } = interviewOf(client("ada"), shown);
    await pass(100);
    expect(current()).toMatchObject({ isLoading: false, isConnected: true, notes: [] });

    shown.length = 0;
    let settled: Promise<unknown> | undefined;
    act(() => {
      settled = current().addNote(draft).settled;
    });
    expect(current().notes).toHaveLength(1);
    const [note] = current().notes;
    expect(current().noteStatus(note?.id ?? "")).toEqual({ pending: 1 });
    expect(current().pendingCount).toBe(1);
    await pass(100);
    expect(current().noteStatus(note?.id ?? "")).toBeUndefined();
    expect(current().pendingCount).toBe(0);
    expect(current().notes).toMatchObject([{ ...draft, kind: "note", tags: [], authorId: "ada", interviewId: "1" }]);
    expect(new Set(shown)).toEqual(new Set([draft.content]));
    await expect(settled).resolves.toMatchObject({ status: "applied" });
  });

  test("[R6] a refused note is rolled back, and its text stays in its status until it is dismissed", async () => {
    const { client, pass, server } = aServer();
    const { current } = interviewOf(client("ada"));
    await pass(100);
    server.rejectNext({ code: "schema_violation", message: "content is too short", path: "/fields/content" });
    let id = "";
    act(() => {
      id = current().addNote(draft).recordId;
    });
    expect(current().notes).toHaveLength(1);
    await pass(100);
    expect(current().notes).toEqual([]);
    expect(current().noteStatus(id)?.failed).toMatchObject({
      fields: { content: draft.content },
      outcome: { status: "rejected", code: "schema_violation" },
    });
    act(() => current().dismiss(id));
    expect(current().noteStatus(id)).toBeUndefined();
  });

  test("[R5] two people see each other's notes, edits and deletions", async () => {
    const { client, pass } = aServer();
    const ada = interviewOf(client("ada"));
    const ben = interviewOf(client("ben"));
    await pass(100);
    let id = "";
    act(() => {
      id = ada.current().addNote(draft).recordId;
    });
    await pass(100);
    act(() => {
      ben.current().updateNote(id, { content: "edited by Ben", tags: ["pricing"] });
    });
    await pass(100);
    expect(ada.current().notes).toMatchObject([
      { content: "edited by Ben", tags: ["pricing"], authorId: "ada", updatedBy: "ben" },
    ]);
    expect(ada.current().notes).toEqual(ben.current().notes);
    act(() => {
      ada.current().deleteNote(id);
    });
    await pass(100);
    expect(ben.current().notes).toEqual([]);
    act(() => {
      ben.current().restoreNote(id);
    });
    await pass(100);
    expect(ada.current().notes).toMatchObject([{ id }]);
  });

  test("[R6] who loses to a concurrent edit is told both texts", async () => {
    const { client, pass, platform } = aServer();
    const [ada, ben] = [client("ada"), client("ben")];
    const told: unknown[] = [];
    const { result } = renderHook(
      () => useInterviewNotesBroadcast({ interviewId: "1", onConflict: ({ mine, theirs }) => told.push([mine, theirs]) }),
      { wrapper: within(ada) },
    );
    const other = interviewOf(ben);
    await pass(100);
    let id = "";
    act(() => {
      id = result.current.addNote(draft).recordId;
    });
    await pass(100);
    // Neither has seen the other's edit; Ben's is the later one.
    act(() => {
      result.current.updateNote(id, { content: "mine" });
    });
    platform.jump(5);
    act(() => {
      other.current().updateNote(id, { content: "theirs" });
    });
    await pass(100);
    expect(result.current.notes).toMatchObject([{ content: "theirs" }]);
    expect(told).toEqual([["mine", "theirs"]]);
  });

  test("[R3] what was written while disconnected is sent when the connection is back, and nothing is missed", async () => {
    const { client, pass, server } = aServer();
    const ada = interviewOf(client("ada"));
    const ben = interviewOf(client("ben"));
    await pass(100);
    server.unreachable(true);
    server.kill();
    await pass(100);
    expect(ada.current()).toMatchObject({ status: "reconnecting", isConnected: true });
    act(() => {
      ada.current().addNote({ ...draft, content: "while away" });
    });
    await pass(10_000);
    expect(ada.current()).toMatchObject({ isConnected: false, pendingCount: 1, notes: [{ content: "while away" }] });
    server.unreachable(false);
    act(() => {
      ada.current().reconnect();
      ben.current().reconnect();
    });
    await pass(1_000);
    expect(ada.current()).toMatchObject({ isConnected: true, status: "connected", pendingCount: 0 });
    expect(ben.current().notes).toMatchObject([{ content: "while away" }]);
  });

  test("[R7] a refused channel says why, and is not loading for ever", async () => {
    const { client, pass, server } = aServer();
    server.denyJoins({ code: "forbidden", message: "no rule allows it", retryable: false });
    const { current } = interviewOf(client("ada"));
    expect(current().isLoading).toBe(true);
    await pass(100);
    expect(current()).toMatchObject({ isLoading: false, error: { code: "forbidden", retryable: false } });
  });

  test("[R6] what is written while a component unmounts arrives", async () => {
    const { client, pass } = aServer();
    const ada = interviewOf(client("ada"));
    const ben = interviewOf(client("ben"));
    await pass(100);
    const { addNote } = ada.current();
    ada.unmount();
    act(() => {
      addNote({ ...draft, content: "last words" });
    });
    await pass(2_000);
    expect(ben.current().notes).toMatchObject([{ content: "last words" }]);
  });

  test("presence is seen by others, and leaves with its component", async () => {
    const { client, pass } = aServer();
    const [ada, ben] = [client("ada"), client("ben")];
    const { result } = renderHook(() => usePresence<{ name: string }>("room"), { wrapper: within(ben) });
    const person = renderHook(
      () => {
        useCollection("room", "items");
        return usePresence("room", { name: "Ada", typing: false });
      },
      { wrapper: within(ada) },
    );
    await pass(500);
    expect(result.current.members.map(({ state }) => state)).toEqual([{ name: "Ada", typing: false }]);
    expect(person.result.current.self?.state.name).toBe("Ada");
    act(() => person.result.current.update({ typing: true }));
    await pass(500);
    expect(result.current.members.map(({ state }) => state)).toEqual([{ name: "Ada", typing: true }]);
    person.unmount();
    await pass(500);
    expect(result.current.members).toEqual([]);
  });

  test("[trap 36] in a transition, components of one collection never show different states", async () => {
    const { client, pass } = aServer();
    const ada = client("ada");
    const committed: number[][] = [];
    const counts: [number, number] = [0, 0];
    function Count({ nth }: { nth: 0 | 1 }) {
      const { records } = useCollection<{ title: string }>("list", "items");
      useLayoutEffect(() => {
        counts[nth] = records.length;
      });
      return null;
    }
    let show = (_: boolean) => {};
    function List() {
      const [isShown, setShown] = useState(false);
      const { add } = useCollection<{ title: string }>("list", "items");
      show = setShown;
      // A frame that arrives in the middle of a render.
      if (isShown && committed.length === 0) queueMicrotask(() => add({ title: "interleaved" }));
      useLayoutEffect(() => {
        committed.push([...counts]);
      });
      return isShown ? [<Count key="0" nth={0} />, <Count key="1" nth={1} />] : <Count nth={0} />;
    }
    render(<List />, { wrapper: within(ada) });
    await pass(100);
    committed.length = 0;
    await act(async () => startTransition(() => show(true)));
    await pass(100);
    expect(committed.length).toBeGreaterThan(0);
    expect(committed.filter(([one, other]) => one !== other)).toEqual([]);
    expect(counts).toEqual([1, 1]);
  });
});
