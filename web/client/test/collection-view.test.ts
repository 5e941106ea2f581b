import { describe, expect, it } from "vitest";
import { createRoom } from "./people";

describe("A snapshot", () => {
  it("is loading until the server's records are there, and is one notification then", async () => {
    const { platform, join } = createRoom();
    const ben = join("ben");
    for (let at = 0; at < 1_200; at++) ben.notes.add({ id: `n${String(at).padStart(4, "0")}`, content: "x" });
    await platform.advance(1_000);
    const ada = join("ada");
    expect(ada.notes.snapshot.getSnapshot()).toMatchObject({ records: [], isLoading: true });
    await platform.advance(100);
    const { records, byId, isLoading } = ada.notes.snapshot.getSnapshot();
    expect([records.length, byId.size, isLoading]).toEqual([1_200, 1_200, false]);
    expect(records.map(({ id }) => id)).toEqual([...records.map(({ id }) => id)].sort());
    expect(ada.shown).toHaveLength(1);
  });

  it("keeps what has not changed: records, lists and itself", async () => {
    const { platform, join } = createRoom();
    const [ada, ben] = [join("ada"), join("ben")];
    ada.notes.add({ id: "n1", content: "one" });
    ada.notes.add({ id: "n2", content: "two" });
    await platform.advance(100);
    const before = ada.notes.snapshot.getSnapshot();
    expect(ada.notes.snapshot.getSnapshot()).toBe(before);

    ben.notes.patch("n2", { content: "2" });
    await platform.advance(100);
    const after = ada.notes.snapshot.getSnapshot();
    expect(after.byId.get("n1")).toBe(before.byId.get("n1"));
    expect(after.byId.get("n2")).not.toBe(before.byId.get("n2"));
    expect(after.status).toBe(before.status);

    ada.notes.patch("n2", { votes: { increment: 1 } });
    const pending = ada.notes.snapshot.getSnapshot();
    ada.notes.delete("nowhere");
    const more = ada.notes.snapshot.getSnapshot();
    expect(more.records).toBe(pending.records);
    expect(more.byId).toBe(pending.byId);
    expect(more.status.get("n2")).toBe(pending.status.get("n2"));
  });

  it("keeps the same records over a resync that brought nothing new", async () => {
    const { platform, server, room, join } = createRoom();
    const ada = join("ada");
    ada.notes.add({ id: "n1", content: "one", tags: ["b", "a"] });
    await platform.advance(100);
    const before = ada.notes.snapshot.getSnapshot();
    const told = ada.shown.length;
    room.truncate();
    server.kill();
    await platform.advance(10_000);
    expect(ada.notes.snapshot.getSnapshot()).toBe(before);
    expect(ada.shown).toHaveLength(told);
  });

  it("lets go of what another epoch does not have", async () => {
    const { platform, server, room, join } = createRoom();
    const ada = join("ada");
    ada.notes.add({ id: "n1", content: "one" });
    await platform.advance(100);
    room.lose("epoch-2");
    server.kill();
    await platform.advance(10_000);
    expect(ada.notes.snapshot.getSnapshot().records).toEqual([]);
    ada.notes.add({ id: "n2", content: "two" });
    await platform.advance(5_000);
    expect(room.records("notes").map(({ id }) => id)).toEqual(["n2"]);
  });

  it("is frozen, and holds nothing that the app can change afterwards", async () => {
    const { platform, join } = createRoom();
    const ada = join("ada");
    await platform.advance(100);
    const tags = ["a"];
    ada.notes.add({ id: "n1", content: "one", tags });
    tags.push("b");
    const note = ada.note("n1");
    expect(note?.tags).toEqual(["a"]);
    expect(Object.isFrozen(note)).toBe(true);
    expect(Object.isFrozen(note?.tags)).toBe(true);
    await platform.advance(100);
    expect(Object.isFrozen(ada.note("n1")?.tags)).toBe(true);
  });

  it("is told once for each write and each frame, also when a listener throws or writes", async () => {
    const { platform, join } = createRoom();
    const ada = join("ada");
    await platform.advance(100);
    const told: number[] = [];
    ada.notes.snapshot.subscribe(() => {
      throw new Error("of the app");
    });
    ada.notes.snapshot.subscribe(() => {
      const { records } = ada.notes.snapshot.getSnapshot();
      told.push(records.length);
      if (records.length === 1 && told.length === 1) ada.notes.add({ content: "written in a listener" });
    });
    ada.notes.add({ content: "one" });
    expect(told[0]).toBe(1);
    expect(ada.notes.snapshot.getSnapshot().records).toHaveLength(2);
    await platform.advance(100);
    expect(platform.errors).toHaveLength(told.length);
    expect(ada.client.pendingCount.getSnapshot()).toBe(0);
  });

  it("has the metadata of a user whose name became known after the write", async () => {
    const { platform, join } = createRoom();
    const ada = join("ada");
    ada.notes.add({ id: "n1", content: "before the join" });
    expect(ada.note("n1")?.createdBy).toBe("");
    await platform.advance(100);
    expect(ada.note("n1")?.createdBy).toBe("ada");
  });
});

describe("Fields, sets and counters", () => {
  it("[M2] two people who change tags at once both have theirs", async () => {
    const { platform, join, sent } = createRoom();
    const [ada, ben] = [join("ada"), join("ben")];
    ada.notes.add({ id: "n1", content: "one", tags: ["old"] });
    await platform.advance(100);
    ada.notes.patch("n1", { tags: ["old", "Ada's"] });
    ben.notes.patch("n1", { tags: ["Ben's"] });
    await platform.advance(100);
    expect(sent().map(({ sets }) => sets?.tags)).toEqual([{ old: true }, { "Ada's": true }, { "Ben's": true, old: false }]);
    for (const { note } of [ada, ben]) expect(note("n1")?.tags).toEqual(["Ada's", "Ben's"]);
  });

  it("[M2] counters add", async () => {
    const { platform, join } = createRoom();
    const [ada, ben] = [join("ada"), join("ben")];
    ada.notes.add({ id: "n1", content: "one" });
    await platform.advance(100);
    ada.notes.patch("n1", { votes: { increment: 2 } });
    ben.notes.patch("n1", { votes: { increment: 3 } });
    expect([ada.note("n1")?.votes, ben.note("n1")?.votes]).toEqual([2, 3]);
    await platform.advance(100);
    expect([ada.note("n1")?.votes, ben.note("n1")?.votes]).toEqual([5, 5]);
  });

  it("a set without elements is an empty set", async () => {
    const { platform, join, room } = createRoom();
    const ada = join("ada");
    await platform.advance(100);
    ada.notes.add({ id: "n1", content: "one", tags: [] });
    expect(ada.note("n1")?.tags).toEqual([]);
    await platform.advance(100);
    expect(ada.note("n1")?.tags).toEqual([]);
    expect(room.records("notes")[0]?.sets).toEqual({ tags: [] });
  });

  it("other arrays and objects are fields, and a field stays one", async () => {
    const { platform, join, sent } = createRoom();
    const ada = join("ada");
    const shapes = ada.channel.collection<{ points: readonly (number | string)[]; at: { x: number } }>("notes");
    shapes.add({ id: "n1", points: [1, 2], at: { x: 1 } });
    await platform.advance(100);
    shapes.patch("n1", { points: ["a"] });
    await platform.advance(100);
    expect(sent().map(({ fields, sets }) => ({ ...fields, sets }))).toEqual([
      { points: [1, 2], at: { x: 1 }, sets: undefined },
      { points: ["a"], sets: undefined },
    ]);
  });

  it("[M3] a restored record has its fields again, and the text that came with the restore", async () => {
    const { platform, join } = createRoom();
    const [ada, ben] = [join("ada"), join("ben")];
    ada.notes.add({ id: "n1", content: "one", timestampMs: 7 });
    await platform.advance(100);
    ada.notes.delete("n1");
    expect(ada.note("n1")).toBeUndefined();
    await platform.advance(100);
    ben.notes.restore("n1", { content: "two" });
    expect(ben.note("n1")).toMatchObject({ content: "two", timestampMs: 7 });
    await platform.advance(100);
    expect(ada.note("n1")).toMatchObject({ content: "two", timestampMs: 7 });
  });
});
