import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { createRealtimeClient } from "../src/client";
import { InterviewNoteHandler, type NoteActivity, openInterviewNotes, openProject, openWorkspace } from "../src/notes";
import { createFakePlatform, createFakeServer } from "../src/testing";

function setUp() {
  const platform = createFakePlatform();
  const server = createFakeServer({ platform });
  const person = (sub: string) => createRealtimeClient({ url: "http://fake", getToken: () => server.token(sub), platform });
  return { platform, server, person };
}

const NOTE = { content: "Pricing page is confusing", timestampMs: 61_000, authorName: "Ada" };

describe("openInterviewNotes", () => {
  it("shows a note at once, with its kind, its tags, its interview and its author", async () => {
    const { platform, server, person } = setUp();
    const notes = openInterviewNotes(person("ada"), "42");
    await platform.advance(100);
    const { recordId, settled } = notes.addNote(NOTE);
    expect(notes.store.getSnapshot().byId.get(recordId)).toMatchObject({
      ...NOTE,
      ...{ kind: "note", tags: [], interviewId: "42", authorId: "ada" },
    });
    expect(notes.store.getSnapshot().status.get(recordId)).toEqual({ pending: 1 });
    await platform.advance(100);
    expect(await settled).toMatchObject({ status: "applied" });
    expect(server.channel("interview:42").records("notes")[0]).toMatchObject({
      id: recordId,
      fields: { kind: "note" },
      sets: { tags: [] },
    });
  });

  it("orders notes by their place in the recording, then by id, on every screen", async () => {
    const { platform, person } = setUp();
    const [ada, ben] = [openInterviewNotes(person("ada"), "42"), openInterviewNotes(person("ben"), "42")];
    for (const [id, timestampMs] of [
      ["c", 5],
      ["b", 9],
      ["a", 9],
      ["d", 1],
    ] as const) {
      ada.addNote({ ...NOTE, id, timestampMs });
    }
    await platform.advance(100);
    ben.updateNote("d", { timestampMs: 7 });
    const ids = (notes: typeof ada) => notes.store.getSnapshot().notes.map((note) => note.id);
    expect(ids(ben)).toEqual(["c", "d", "a", "b"]);
    await platform.advance(100);
    expect(ids(ada)).toEqual(ids(ben));
  });

  it("keeps its snapshot, and each note, until something in it changes", async () => {
    const { platform, person } = setUp();
    const client = person("ada");
    const notes = openInterviewNotes(client, "42");
    notes.addNote({ ...NOTE, id: "a" });
    notes.addNote({ ...NOTE, id: "b" });
    await platform.advance(100);
    const before = notes.store.getSnapshot();
    let told = 0;
    const stop = notes.store.subscribe(() => told++);
    await platform.advance(60_000); // heartbeats measure the latency
    expect(notes.store.getSnapshot()).toBe(before);
    expect(told).toBe(0);
    notes.updateNote("a", { content: "changed" });
    expect(told).toBe(1);
    expect(notes.store.getSnapshot().byId.get("b")).toBe(before.byId.get("b"));
    stop();
    notes.deleteNote("a");
    expect(told).toBe(1);
    expect(notes.store.getSnapshot().notes).toHaveLength(1);
  });

  it("deletes and restores, and keeps a refused text until it is dismissed", async () => {
    const { platform, server, person } = setUp();
    const notes = openInterviewNotes(person("ada"), "42");
    notes.addNote({ ...NOTE, id: "a" });
    await platform.advance(100);
    notes.deleteNote("a");
    await platform.advance(100);
    notes.restoreNote("a", { content: "again" });
    await platform.advance(100);
    expect(notes.store.getSnapshot().notes).toMatchObject([{ content: "again", timestampMs: 61_000 }]);
    server.rejectNext({ code: "schema_violation", message: "too long" });
    notes.updateNote("a", { content: "refused" });
    await platform.advance(100);
    expect(notes.store.getSnapshot().status.get("a")?.failed?.fields).toEqual({ content: "refused" });
    notes.dismiss("a");
    expect(notes.store.getSnapshot().status.size).toBe(0);
  });

  it("says that it is loading, that it is connected, and why it is not there", async () => {
    const { platform, server, person } = setUp();
    server.denyJoins({ code: "unauthorized", message: "not you", retryable: false });
    const notes = openInterviewNotes(person("ada"), "42");
    expect(notes.store.getSnapshot()).toMatchObject({ notes: [], isLoading: true, isConnected: false, error: undefined });
    await platform.advance(100);
    expect(notes.store.getSnapshot()).toMatchObject({ isLoading: false, isConnected: true, error: { code: "unauthorized" } });
  });

  it("a loss that passes is no error of an interview; a connection that needs somebody is", async () => {
    const { platform, server, person } = setUp();
    const client = person("ada");
    const notes = openInterviewNotes(client, "42");
    await platform.advance(100);
    const errors = new Set<string | undefined>();
    notes.store.subscribe(() => errors.add(notes.store.getSnapshot().error?.code));
    server.unreachable(true);
    server.kill();
    await platform.advance(20_000);
    server.unreachable(false);
    await platform.advance(60_000);
    expect([client.connection.getSnapshot().status, [...errors]]).toEqual(["connected", [undefined]]);
    server.refuseTokens(true);
    server.kill();
    await platform.advance(60_000);
    expect(notes.store.getSnapshot()).toMatchObject({ error: { code: "close_4101", retryable: false } });
  });

  it("gives its channel back when it is closed, after what was written was sent", async () => {
    const { platform, server, person } = setUp();
    const client = person("ada");
    const notes = openInterviewNotes(client, "42");
    await platform.advance(100);
    expect(server.channel("interview:42").memberCount).toBe(1);
    const { settled } = notes.addNote(NOTE);
    notes.close();
    notes.close();
    await platform.advance(5_000);
    expect(await settled).toMatchObject({ status: "applied" });
    expect(client.channels.list()).toEqual([]);
    expect(server.channel("interview:42").memberCount).toBe(0);
  });
});

describe("openProject and openWorkspace", () => {
  it("hold a project's interviews and the team's projects, in the order they were made", async () => {
    const { platform, person } = setUp();
    const client = person("ada");
    const workspace = openWorkspace(client);
    const { recordId } = workspace.addProject({ name: "Onboarding", color: "moss" });
    const project = openProject(client, recordId);
    project.addInterview({ title: "First", status: "planned" });
    const second = project.addInterview({ title: "Second", status: "live" });
    await platform.advance(100);
    project.updateInterview(second.recordId, { status: "done" });
    workspace.updateProject(recordId, { description: "Why do they leave?" });
    await platform.advance(100);
    const interviews = project.store.getSnapshot().interviews.map(({ title, status, projectId }) => [title, status, projectId]);
    expect(interviews).toEqual([
      ["First", "planned", recordId],
      ["Second", "done", recordId],
    ]);
    expect(workspace.store.getSnapshot().projects).toMatchObject([{ name: "Onboarding", description: "Why do they leave?" }]);
    project.deleteInterview(second.recordId);
    workspace.deleteProject(recordId);
    expect(project.store.getSnapshot().interviews).toHaveLength(1);
    expect(workspace.store.getSnapshot().projects).toHaveLength(0);
    project.restoreInterview(second.recordId);
    workspace.restoreProject(recordId, { name: "Again" });
    await platform.advance(100);
    expect(project.store.getSnapshot().interviews).toHaveLength(2);
    expect(workspace.store.getSnapshot().projects).toMatchObject([{ name: "Again" }]);
  });
});

describe("InterviewNoteHandler", () => {
  it("takes typing and focus of others, and passes over what is neither", async () => {
    const { platform, person } = setUp();
    const [ada, ben] = [person("ada"), person("ben")];
    const typing: NoteActivity[] = [];
    const focus: NoteActivity[] = [];
    const theirs = openInterviewNotes(ben, "42").channel;
    theirs.use(new InterviewNoteHandler({ onTyping: (at) => typing.push(at), onFocus: (at) => focus.push(at) }));
    theirs.use(new InterviewNoteHandler({}));
    const mine = openInterviewNotes(ada, "42").channel;
    await platform.advance(100);
    const publish = (event: string, payload: { noteId: string | null; name: string } | { name: number }) =>
      mine.publish(event, payload, { ephemeral: true });
    await publish("note:typing", { noteId: "a", name: "Ada" });
    await publish("note:typing", { name: 7 });
    await publish("note:focus", { noteId: null, name: "Ada" });
    await platform.advance(100);
    expect(typing).toEqual([{ noteId: "a", name: "Ada" }]);
    expect(focus).toEqual([{ noteId: null, name: "Ada" }]);
    expect(platform.errors).toHaveLength(2);
  });
});

describe("The notes entry", () => {
  it.each([
    ["note", ["content", "timestampMs", "authorName", "kind", "tags"]],
    ["interview", ["title", "participant", "role", "status", "scheduledAt", "durationMs", "summary"]],
    ["project", ["name", "description", "color"]],
  ])("has the fields of the server's schema of a %s", (name, fields) => {
    const path = new URL(`../../notes/schemas/${name}.json`, import.meta.url);
    const { properties }: { properties: object } = JSON.parse(readFileSync(path, "utf8"));
    expect(Object.keys(properties).sort()).toEqual([...fields].sort());
  });
});
