import type { Unsubscribe } from "@chorale/client";
import { act, renderHook } from "@testing-library/react";
import { describe, expect, test } from "vitest";
import {
  type InterviewFields,
  type NoteFields,
  type ProjectFields,
  useInterviewNotesBroadcast,
  useProjects,
  useRealtime,
} from "../src/index.ts";
import { collectionOf, FakeClient, record } from "./fake-client.ts";
import { note } from "./notes.ts";
import { within } from "./within.tsx";

const interview = (id: string) => record<InterviewFields>(id, { title: `interview ${id}`, status: "planned" });
const noteRecord = (id: string, timestampMs: number) =>
  record<NoteFields>(id, { content: id, timestampMs, tags: [], authorName: "Ada", kind: "note" });

describe("useRealtime", () => {
  test("shows the interviews of the subscribed projects, each with its project", () => {
    const client = new FakeClient();
    client
      .channel("project:a")
      .collection("interviews")
      .set(collectionOf([interview("1"), interview("3")]));
    client
      .channel("project:b")
      .collection("interviews")
      .set(collectionOf([interview("2")]));
    const { result } = renderHook(useRealtime, { wrapper: within(client) });
    const shown = () => result.current.interviews.map(({ id, projectId }) => `${projectId}${id}`);

    const { subscribeToProject } = result.current;
    const ends: Unsubscribe[] = [];
    act(() => {
      for (const project of ["a", "a", "b"]) ends.push(subscribeToProject(project));
    });
    expect(shown()).toEqual(["a1", "b2", "a3"]);
    expect(result.current.subscribeToProject).toBe(subscribeToProject);

    // Each subscription counts once, however often it is ended.
    act(() => {
      ends[0]?.();
      ends[0]?.();
    });
    expect(shown()).toEqual(["a1", "b2", "a3"]);
    act(() => ends[1]?.());
    expect(shown()).toEqual(["b2"]);
    act(() => ends[2]?.());
    expect(client.channels.list()).toEqual([]);
  });

  test("an interview is the same object until it changes", () => {
    const client = new FakeClient();
    const interviews = client.channel("project:a").collection("interviews");
    const first = interview("1");
    interviews.set(collectionOf([first]));
    const { result } = renderHook(useRealtime, { wrapper: within(client) });
    act(() => {
      result.current.subscribeToProject("a");
    });
    const [before] = result.current.interviews;
    act(() => interviews.set(collectionOf([first, interview("2")])));
    expect(result.current.interviews).toHaveLength(2);
    expect(result.current.interviews[0]).toBe(before);
  });

  test("says why a subscribed project is missing", () => {
    const client = new FakeClient();
    const { result } = renderHook(useRealtime, { wrapper: within(client) });
    act(() => {
      result.current.subscribeToProject("secret");
    });
    const error = Object.assign(new Error("no rule"), { code: "forbidden", retryable: false });
    act(() => client.channel("project:secret").status.set({ status: "refused", isSynced: false, error }));
    expect(result.current.error).toBe(error);
  });
});

describe("useProjects", () => {
  test("reads and writes the workspace's projects", () => {
    const client = new FakeClient();
    const { result } = renderHook(useProjects, { wrapper: within(client) });
    act(() => {
      result.current.addProject({ name: "Onboarding", id: "p" });
    });
    act(() => {
      result.current.updateProject("p", { name: "Checkout" });
    });
    expect(result.current.projects).toMatchObject([{ id: "p", name: "Checkout" }]);
    act(() => {
      result.current.deleteProject("p");
    });
    expect(client.channel("workspace:main").collection("projects").getSnapshot().records).toEqual([]);
    const project: ProjectFields = { name: "Back" };
    act(() => {
      result.current.restoreProject("p", project);
    });
    expect(result.current.projects).toMatchObject([{ name: "Back" }]);
  });
});

describe("useInterviewNotesBroadcast", () => {
  test("orders notes by their time in the recording, then by id", () => {
    const client = new FakeClient();
    const records = [noteRecord("c", 0), noteRecord("a", 5), noteRecord("b", 0)];
    client.channel("interview:1").collection("notes").set(collectionOf(records));
    const { result } = renderHook(() => useInterviewNotesBroadcast({ interviewId: "1" }), { wrapper: within(client) });
    expect(result.current.notes.map(({ id }) => id)).toEqual(["b", "c", "a"]);
    expect(result.current.notes[0]).toMatchObject({ interviewId: "1", authorId: "ada" });
  });

  test("is loading until the server's notes are there, and not when it refuses", () => {
    const client = new FakeClient();
    const channel = client.channel("interview:1");
    channel.collection("notes").set(collectionOf([], true));
    const { result } = renderHook(() => useInterviewNotesBroadcast({ interviewId: "1" }), { wrapper: within(client) });
    expect(result.current.isLoading).toBe(true);
    const error = Object.assign(new Error("no rule"), { code: "forbidden", retryable: false });
    act(() => channel.status.set({ status: "refused", isSynced: false, error }));
    expect(result.current).toMatchObject({ isLoading: false, error });
  });

  test("another interview has other notes and other initial ones", () => {
    const client = new FakeClient();
    for (const id of ["1", "2"]) client.channel(`interview:${id}`).collection("notes").set(collectionOf([], true));
    const { result, rerender } = renderHook(
      ({ id, content }) => useInterviewNotesBroadcast({ interviewId: id, initialNotes: [note("n", content)] }),
      { wrapper: within(client), initialProps: { id: "1", content: "first" } },
    );
    rerender({ id: "1", content: "ignored: the interview is the same" });
    expect(result.current.notes.map(({ content }) => content)).toEqual(["first"]);
    rerender({ id: "2", content: "second" });
    expect(result.current.notes.map(({ content }) => content)).toEqual(["second"]);
  });

  test("tells conflicts of this interview's notes only", () => {
    const client = new FakeClient();
    const told: string[] = [];
    renderHook(() => useInterviewNotesBroadcast({ interviewId: "1", onConflict: ({ recordId }) => told.push(recordId) }), {
      wrapper: within(client),
    });
    const conflict = { collection: "notes", field: "content", mine: "a", theirs: "b" };
    client.emit("conflict", { ...conflict, channel: "interview:1", recordId: "here" });
    client.emit("conflict", { ...conflict, channel: "interview:2", recordId: "elsewhere" });
    expect(told).toEqual(["here"]);
  });

  test("takes part in presence when it is given a state, and says nothing of itself otherwise", () => {
    const client = new FakeClient();
    renderHook(() => useInterviewNotesBroadcast({ interviewId: "1", presence: { name: "Ada" } }), { wrapper: within(client) });
    renderHook(() => useInterviewNotesBroadcast({ interviewId: "2" }), { wrapper: within(client) });
    expect(client.channel("interview:1").states).toEqual([{ name: "Ada" }]);
    expect(client.channel("interview:2").states).toEqual([]);
  });

  test("adds a note without tags, edits, deletes and restores it", () => {
    const client = new FakeClient();
    const { result } = renderHook(() => useInterviewNotesBroadcast({ interviewId: "1" }), { wrapper: within(client) });
    act(() => {
      result.current.addNote({ id: "n", content: "first", timestampMs: 0, authorName: "Ada" });
    });
    expect(result.current.notes).toMatchObject([{ id: "n", content: "first", tags: [] }]);
    act(() => {
      result.current.updateNote("n", { tags: ["pricing"] });
    });
    expect(result.current.notes).toMatchObject([{ tags: ["pricing"] }]);
    act(() => {
      result.current.deleteNote("n");
    });
    expect(result.current.notes).toEqual([]);
    act(() => {
      result.current.restoreNote("n", { content: "back", timestampMs: 0 });
    });
    expect(result.current.notes).toMatchObject([{ content: "back" }]);
  });
});
