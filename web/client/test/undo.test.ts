/** What undo promises: rules U1 to U6 of docs/protocol.md. */
import { describe, expect, it, vi } from "vitest";
import type { FakeRules } from "../src/testing";
import { createUndo, type Skipped, type UndoOptions } from "../src/undo";
import { createRoom } from "./people";

/** Ada, who has an undo, and Ben; what either sends takes 100 ms. */
async function twoPeople(options: UndoOptions = {}, write?: FakeRules["write"]) {
  const room = createRoom({ latencyMs: 100, rules: { ...(write && { write }) } });
  const { platform, server } = room;
  const [ada, ben] = [room.join("ada"), room.join("ben")];
  const undo = createUndo(ada.notes, options);
  const pass = (ms = 1_000) => platform.advance(ms);
  const offline = (isOn: boolean) => {
    server.unreachable(isOn);
    if (isOn) server.kill();
  };
  await pass();
  return { ...room, ada, ben, undo, pass, offline };
}

/** A note that is there, and that is nobody's step. */
async function withNote(options: UndoOptions = {}) {
  const world = await twoPeople(options);
  world.ben.notes.add({ id: "n1", content: "first", tags: ["ux"], votes: 0 });
  await world.pass();
  return world;
}

const reasons = (skipped: readonly Skipped[] | undefined) => skipped?.map(({ name, reason }) => [name, reason]);

describe("one's own", () => {
  it("[U1] a field goes back to what the write replaced, and forth again, for everybody", async () => {
    const { ada, ben, undo, pass } = await withNote();
    expect(undo.undo()).toBeUndefined();
    ada.notes.patch("n1", { content: "second" });
    await pass();
    ada.notes.patch("n1", { content: "third" });
    await pass();
    const seen: unknown[] = [];
    for (const act of [undo.undo, undo.undo, undo.redo, undo.redo]) {
      expect(act()?.changed).toEqual([{ collection: "notes", recordId: "n1", op: "patch" }]);
      seen.push(ada.note("n1")?.content);
      await pass();
      seen.push(ben.note("n1")?.content);
    }
    expect(seen).toEqual(["second", "second", "first", "first", "second", "second", "third", "third"]);
    expect(undo.redo()).toBeUndefined();
  });

  it("[U1] elements of a set and counters go back by themselves", async () => {
    const { ada, ben, undo, pass } = await withNote({ captureMs: 0 });
    ada.notes.patch("n1", { tags: ["price", "ux"] });
    ada.notes.patch("n1", { tags: ["price"] });
    ada.notes.patch("n1", { votes: { increment: 2 } });
    await pass();
    ben.notes.patch("n1", { tags: ["late", "price"], votes: { increment: 5 } });
    await pass();
    for (let step = 0; step < 3; step++) undo.undo();
    await pass();
    expect(ben.note("n1")).toMatchObject({ tags: ["late", "ux"], votes: 5 });
    for (let step = 0; step < 3; step++) undo.redo();
    await pass();
    expect(ben.note("n1")).toMatchObject({ tags: ["late", "price"], votes: 7 });
  });

  it("[U1] what was made goes, what was deleted comes back as it was", async () => {
    const { ada, ben, undo, pass } = await withNote();
    const { recordId } = ada.notes.add({ content: "mine", tags: ["a"] });
    await pass();
    undo.undo();
    await pass();
    expect(ben.note(recordId)).toBeUndefined();
    undo.redo();
    await pass();
    expect(ben.note(recordId)).toMatchObject({ content: "mine", tags: ["a"] });
    ada.notes.delete("n1");
    await pass();
    undo.undo();
    await pass();
    expect(ben.note("n1")).toMatchObject({ content: "first", tags: ["ux"] });
    undo.redo();
    await pass();
    expect(ben.note("n1")).toBeUndefined();
  });

  it("[U5] edits of a record that follow each other soon are one step, others are their own", async () => {
    const { ada, undo, pass } = await withNote();
    for (const content of ["s", "se", "sec"]) {
      ada.notes.patch("n1", { content });
      await pass(300);
    }
    await pass(500);
    ada.notes.patch("n1", { content: "second" });
    undo.undo();
    expect(ada.note("n1")?.content).toBe("sec");
    undo.undo();
    expect(ada.note("n1")?.content).toBe("first");
    undo.redo();
    expect(ada.note("n1")?.content).toBe("sec");
  });

  it("[U5] who types without a pause takes back ten seconds at a time", async () => {
    const { ada, undo, pass } = await withNote();
    for (let letter = 1; letter <= 75; letter++) {
      ada.notes.patch("n1", { content: "x".repeat(letter) });
      await pass(200);
    }
    undo.undo();
    expect(ada.note("n1")?.content).toBe("x".repeat(50));
    undo.undo();
    expect(ada.note("n1")?.content).toBe("first");
  });

  it("[U5] a group is one step, over several collections, and what is untracked is none", async () => {
    const { ada, pass } = await withNote();
    const tasks = ada.channel.collection<{ title: string }>("tasks");
    const undo = createUndo([ada.notes, tasks]);
    await pass();
    undo.group(() => {
      tasks.add({ id: "t1", title: "Ship it" });
      ada.notes.patch("n1", { content: "moved" });
      undo.group(() => ada.notes.add({ id: "n2", content: "beside" }));
      undo.untracked(() => ada.notes.patch("n1", { votes: { increment: 1 } }));
    });
    await pass();
    expect(undo.undo()?.changed.map(({ collection, op }) => [collection, op])).toEqual([
      ["notes", "delete"],
      ["notes", "patch"],
      ["tasks", "delete"],
    ]);
    expect(ada.note("n1")).toMatchObject({ content: "first", votes: 1 });
    await pass();
    undo.redo();
    await pass();
    expect([tasks.snapshot.getSnapshot().byId.has("t1"), ada.note("n1")?.content, ada.note("n2")?.content]).toEqual([
      true,
      "moved",
      "beside",
    ]);
    expect(undo.undo()?.changed).toHaveLength(3);
  });

  it("[U5] the stack is bounded, a write ends redo, and the state tells only what has changed", async () => {
    const { ada, undo, pass } = await withNote({ limit: 2, captureMs: 0 });
    const told = vi.fn();
    undo.state.subscribe(told);
    for (const content of ["1", "2", "3"]) ada.notes.patch("n1", { content });
    expect([undo.state.getSnapshot(), told.mock.calls.length]).toEqual([{ canUndo: true, canRedo: false }, 1]);
    undo.undo();
    undo.undo();
    expect(ada.note("n1")?.content).toBe("1");
    expect(undo.state.getSnapshot()).toEqual({ canUndo: false, canRedo: true });
    ada.notes.patch("n1", { content: "other" });
    expect(undo.redo()).toBeUndefined();
    undo.close();
    ada.notes.patch("n1", { content: "unheard" });
    expect(undo.state.getSnapshot()).toEqual({ canUndo: false, canRedo: false });
    await pass();
  });
});

describe("others'", () => {
  it("[U2] [trap 16] a field that somebody else has written since is left alone, and the rest goes back", async () => {
    const { ada, ben, undo, pass } = await withNote();
    ada.notes.patch("n1", { content: "Ada's", tags: ["Ada's", "ux"], votes: { increment: 1 } });
    await pass();
    ben.notes.patch("n1", { content: "Ben's", tags: ["Ada's", "Ben's"] });
    await pass();
    const done = undo.undo();
    expect(done?.changed).toHaveLength(1);
    expect(done?.skipped).toEqual([{ collection: "notes", recordId: "n1", name: "content", reason: "changed" }]);
    await pass();
    expect(await done?.settled).toEqual(done?.skipped);
    expect(ben.note("n1")).toMatchObject({ content: "Ben's", tags: ["Ben's"], votes: 0 });
    undo.redo();
    await pass();
    expect(ben.note("n1")).toMatchObject({ content: "Ben's", tags: ["Ada's", "Ben's"], votes: 1 });
    expect([ada.conflicts, ada.failures, ben.conflicts, ben.failures]).toEqual([[], [], [], []]);
  });

  it("[U2] [trap 16] also when they wrote the very same value", async () => {
    const { ada, ben, undo, pass } = await withNote();
    ada.notes.patch("n1", { content: "agreed" });
    await pass();
    ben.notes.patch("n1", { content: "agreed" });
    await pass();
    expect(undo.undo()).toMatchObject({ changed: [], skipped: [{ name: "content", reason: "changed" }] });
    expect(undo.state.getSnapshot()).toEqual({ canUndo: false, canRedo: false });
  });

  it("[U2] [trap 16] also when the undo has not seen their write yet", async () => {
    const { ada, ben, undo, pass } = await withNote();
    ada.notes.patch("n1", { content: "Ada's" });
    await pass();
    ben.notes.patch("n1", { content: "Ben's" });
    const done = undo.undo(); // in the same moment: neither has heard of the other
    expect([ada.note("n1")?.content, done?.skipped]).toEqual(["first", []]);
    await pass();
    expect(await done?.settled).toMatchObject([{ name: "content", reason: "changed", outcome: { status: "superseded" } }]);
    expect([ada.note("n1")?.content, ben.note("n1")?.content]).toEqual(["Ben's", "Ben's"]);
    expect([undo.state.getSnapshot().canRedo, ada.conflicts, ben.conflicts]).toEqual([false, [], []]);
  });

  it("[U3] a record in which somebody else has written is not taken away, whatever has become of that", async () => {
    const { ada, ben, undo, pass } = await withNote();
    const { recordId } = ada.notes.add({ content: "mine" });
    await pass();
    ben.notes.patch(recordId, { content: "Ben's" });
    await pass();
    ada.notes.patch(recordId, { content: "Ada's again" });
    await pass();
    undo.undo();
    expect(ada.note(recordId)?.content).toBe("Ben's");
    await pass();
    expect(undo.undo()).toMatchObject({ changed: [], skipped: [{ recordId, reason: "changed" }] });
    await pass();
    expect(ben.note(recordId)?.content).toBe("Ben's");
  });

  it("[U3] nor one in which they have only counted, or write in the same moment", async () => {
    const { ada, ben, undo, pass } = await withNote();
    const counted = ada.notes.add({ content: "mine", votes: 0 }).recordId;
    await pass();
    ben.notes.patch(counted, { votes: { increment: 1 } });
    await pass();
    expect(undo.undo()?.skipped).toMatchObject([{ recordId: counted, reason: "changed" }]);

    const raced = ada.notes.add({ content: "mine" }).recordId;
    await pass();
    ben.notes.patch(raced, { content: "Ben's" });
    const done = undo.undo();
    expect(ada.note(raced)).toBeUndefined();
    await pass();
    expect(reasons(await done?.settled)).toEqual([[undefined, "changed"]]);
    expect([ada.note(raced)?.content, ben.note(raced)?.content, ben.failures]).toEqual(["Ben's", "Ben's", []]);
    expect([ada.failures, undo.state.getSnapshot()]).toEqual([[], { canUndo: false, canRedo: false }]);
  });

  it("[U3] what somebody else has deleted stays deleted, and what they have restored is not deleted again", async () => {
    const { ada, ben, undo, pass } = await withNote({ captureMs: 0 });
    ada.notes.patch("n1", { content: "Ada's" });
    await pass();
    ben.notes.delete("n1");
    await pass();
    expect(reasons(undo.undo()?.skipped)).toEqual([[undefined, "deleted"]]);
    ben.notes.restore("n1");
    await pass();
    ada.notes.delete("n1");
    await pass();
    ben.notes.restore("n1");
    await pass();
    expect(reasons(undo.undo()?.skipped)).toEqual([[undefined, "changed"]]);
    ada.notes.delete("n1");
    await pass();
    undo.undo();
    await pass();
    ben.notes.patch("n1", { content: "Ben's" });
    await pass();
    expect(reasons(undo.redo()?.skipped)).toEqual([[undefined, "changed"]]);
    expect(ben.note("n1")?.content).toBe("Ben's");
  });

  it("[U3] a record that was taken away before its making was in the log comes back when somebody was faster", async () => {
    const { ada, ben, undo, pass } = await withNote({ captureMs: 0 });
    const { recordId } = ada.notes.add({ content: "mine" });
    await pass(150);
    ada.notes.patch(recordId, { content: "mine, too" });
    await pass(60); // Ben sees the note, and Ada's edit is on its way
    ben.notes.patch(recordId, { timestampMs: 7 });
    await pass(120);
    undo.undo();
    ada.notes.patch(recordId, { content: "pending" });
    undo.undo();
    const done = undo.undo();
    expect(done?.changed).toMatchObject([{ op: "delete" }]);
    await pass(2_000);
    expect(reasons(await done?.settled)).toEqual([[undefined, "changed"]]);
    for (const { note } of [ada, ben]) expect(note(recordId)).toMatchObject({ content: "mine", timestampMs: 7 });
  });

  it("[U4] nor takes an undo anything from others when the write that it takes back is refused", async () => {
    const { ada, ben, undo, pass } = await twoPeople({ captureMs: 0 }, (_who, _channel, { fields }) =>
      fields.content === "bad" ? { code: "schema_violation", message: "no" } : undefined,
    );
    ben.notes.add({ id: "n1", content: "first" });
    await pass();
    ben.notes.patch("n1", { content: "Ben's" });
    await pass(50);
    ada.notes.patch("n1", { content: "bad" });
    undo.undo();
    await pass();
    for (const { note } of [ada, ben]) expect(note("n1")?.content).toBe("Ben's");
  });

  it("[U4] what comes back is what the write really replaced, though this client had not seen it", async () => {
    const { ada, ben, undo, pass } = await withNote();
    ben.notes.patch("n1", { content: "Ben's" });
    await pass(50);
    ada.notes.patch("n1", { content: "Ada's" }); // before she could see that
    await pass();
    expect(ben.note("n1")?.content).toBe("Ada's");
    undo.undo();
    await pass();
    expect([ada.note("n1")?.content, ben.note("n1")?.content]).toEqual(["Ben's", "Ben's"]);
  });

  it("[U4] also when it was taken back before that was known", async () => {
    const { ada, ben, undo, pass } = await withNote();
    ben.notes.patch("n1", { content: "Ben's", tags: ["late", "ux"] });
    await pass(50);
    ada.notes.patch("n1", { content: "Ada's", tags: ["late", "ux"] });
    undo.undo();
    expect(ada.note("n1")).toMatchObject({ content: "first", tags: ["ux"] });
    await pass();
    for (const { note } of [ada, ben]) expect(note("n1")).toMatchObject({ content: "Ben's", tags: ["late", "ux"] });
    undo.redo();
    await pass();
    for (const { note } of [ada, ben]) expect(note("n1")).toMatchObject({ content: "Ada's", tags: ["late", "ux"] }); // both have added it
  });
});

describe("what may go wrong", () => {
  it("[U6] offline steps are taken back as others, and the undo waits with the writes", async () => {
    const { ada, ben, undo, pass, offline } = await withNote({ captureMs: 0 });
    offline(true);
    ada.notes.patch("n1", { content: "on the train" });
    ada.notes.add({ id: "n2", content: "too" });
    ada.notes.patch("n1", { tags: ["later"] });
    ada.notes.delete("n1");
    for (let step = 0; step < 4; step++) expect(undo.undo()?.skipped).toEqual([]);
    expect(ada.note("n1")).toMatchObject({ content: "first", tags: ["ux"] });
    for (let step = 0; step < 3; step++) undo.redo();
    offline(false);
    await pass(30_000);
    for (const { note } of [ada, ben]) {
      expect(note("n1")).toMatchObject({ content: "on the train", tags: ["later"] });
      expect(note("n2")?.content).toBe("too");
    }
    expect([ada.client.pendingCount.getSnapshot(), ada.failures]).toEqual([0, []]);
  });

  it("[U6] a write that was refused is no step, and what was written upon it goes back to what was before", async () => {
    const { ada, undo, pass } = await twoPeople({ captureMs: 0 }, (_who, _channel, { fields }) =>
      fields.content === "bad" ? { code: "schema_violation", message: "no" } : undefined,
    );
    ada.notes.add({ id: "n1", content: "first" });
    await pass();
    ada.notes.patch("n1", { content: "bad" });
    ada.notes.patch("n1", { content: "bad", timestampMs: 1 });
    ada.notes.patch("n1", { content: "good" });
    await pass();
    expect(ada.note("n1")?.content).toBe("good");
    undo.undo();
    expect(ada.note("n1")?.content).toBe("first");
    await pass();
    undo.undo();
    await pass();
    expect([ada.note("n1"), undo.undo()]).toEqual([undefined, undefined]);
    ada.notes.add({ id: "n2", content: "bad" });
    expect(undo.state.getSnapshot()).toEqual({ canUndo: true, canRedo: false });
    await pass();
    expect(undo.state.getSnapshot()).toEqual({ canUndo: false, canRedo: false });
  });

  it("[U6] an undo that has put back what was then refused is corrected", async () => {
    const { ada, ben, undo, pass } = await withNote({ captureMs: 0 });
    ada.notes.patch("n1", { content: "too late", votes: { increment: 1 } }, { ifVersion: 0 });
    ada.notes.patch("n1", { content: "second" });
    undo.undo();
    expect(ada.note("n1")?.content).toBe("too late");
    await pass();
    for (const { note } of [ada, ben]) expect(note("n1")).toMatchObject({ content: "first", votes: 0 });
    expect(undo.state.getSnapshot()).toEqual({ canUndo: false, canRedo: true });
    undo.redo();
    undo.undo();
    await pass();
    expect(ben.note("n1")?.content).toBe("first");
  });

  it("[U4] of two elements of a set one is somebody else's by now, and the other comes back", async () => {
    const { ada, ben, undo, pass } = await withNote({ captureMs: 0 });
    ada.notes.patch("n1", { tags: ["price", "ux", "late"] });
    undo.undo();
    await pass(50);
    ben.notes.patch("n1", { tags: ["ux", "price"] });
    await pass();
    undo.redo();
    await pass();
    undo.undo();
    await pass();
    expect(ben.note("n1")?.tags).toEqual(["price", "ux"]);
  });

  it("[U3] what is counted back after a deletion on its way is not taken for what somebody else had counted before that", async () => {
    const { ada, ben, undo, pass } = await withNote({ captureMs: 0 });
    ada.notes.patch("n1", { votes: { increment: 1 } });
    await pass();
    ada.notes.delete("n1");
    await pass();
    ada.notes.restore("n1");
    await pass();
    const done = [undo.undo(), undo.undo(), undo.undo()];
    await pass();
    expect(await Promise.all(done.map((one) => one?.settled))).toEqual([[], [], []]);
    expect(ben.note("n1")).toMatchObject({ votes: 0 });
    for (let step = 0; step < 3; step++) undo.redo();
    await pass();
    expect(ben.note("n1")).toMatchObject({ votes: 1 });
  });

  it("[U3] what was made and edited in one step stays when somebody else has written in it, and the edits go back", async () => {
    for (const [isSeen, isRedoEnded] of [
      [true, false],
      [false, false],
      [false, true],
    ]) {
      const { ada, ben, undo, pass } = await twoPeople();
      const { recordId } = ada.notes.add({ content: "mine", votes: 0 });
      await pass(240);
      ben.notes.patch(recordId, { content: "Ben's" });
      if (isSeen) await pass(240);
      ada.notes.patch(recordId, { content: "mine again", votes: { increment: 1 } });
      const done = undo.undo();
      if (isRedoEnded) ada.notes.add({ content: "another" });
      await pass();
      expect(await done?.settled).toMatchObject([{ recordId, reason: "changed" }]);
      for (const { note } of [ada, ben]) expect(note(recordId)).toMatchObject({ content: "Ben's", votes: 0 });
    }
  });

  it("[U6] what was refused, taken back and done again before that was known is not lost to undo", async () => {
    let isStrict = true;
    const { ada, ben, undo, pass } = await twoPeople({}, (who) =>
      isStrict && who.sub === "ada" ? { code: "forbidden", message: "not now" } : undefined,
    );
    ben.notes.add({ id: "n1", content: "first" });
    await pass();
    ada.notes.delete("n1");
    await pass(120);
    isStrict = false;
    undo.undo();
    undo.redo();
    await pass();
    while (undo.undo()) await pass();
    expect(ben.note("n1")).toMatchObject({ content: "first" });
  });

  it("[U6] an undo that the server refuses says so, is no failure of the person's, and cannot be done again", async () => {
    let isStrict = false;
    const { ada, undo, pass } = await twoPeople({}, () => (isStrict ? { code: "forbidden", message: "read only" } : undefined));
    ada.notes.add({ id: "n1", content: "first" });
    await pass();
    ada.notes.patch("n1", { content: "second" });
    await pass();
    isStrict = true;
    const done = undo.undo();
    await pass();
    expect(await done?.settled).toMatchObject([{ name: "content", reason: "refused", outcome: { code: "forbidden" } }]);
    expect(ada.note("n1")?.content).toBe("second");
    expect([ada.failures, ada.status("n1"), undo.state.getSnapshot()]).toEqual([
      [],
      undefined,
      { canUndo: true, canRedo: false },
    ]);
  });

  it("[U1] a field that had no value before is left, because a record cannot lose one", async () => {
    const { ada, undo, pass } = await withNote();
    ada.notes.patch("n1", { timestampMs: 3, content: "second" });
    await pass();
    expect(reasons(undo.undo()?.skipped)).toEqual([["timestampMs", "unset"]]);
    expect(ada.note("n1")).toMatchObject({ timestampMs: 3, content: "first" });
  });

  it("[U5] another tab of the same person is somebody else, and after a reload there is nothing to undo", async () => {
    const { ada, undo, pass, join } = await withNote();
    ada.notes.patch("n1", { content: "here" });
    await pass();
    const tab = join("ada");
    const fresh = createUndo(tab.notes);
    await pass();
    tab.notes.patch("n1", { content: "there" });
    await pass();
    expect(reasons(undo.undo()?.skipped)).toEqual([["content", "changed"]]);
    fresh.undo();
    await pass();
    expect(ada.note("n1")?.content).toBe("here");
    expect(fresh.undo()).toBeUndefined();
  });
});
