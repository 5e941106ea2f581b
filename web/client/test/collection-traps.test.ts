/** The traps that every client of an ordered log has to walk around, by their numbers in the catalogue of known faults. */
import { describe, expect, it } from "vitest";
import { formatTime } from "../src/hlc";
import { createRoom, isAnswer, payloadOf } from "./people";

describe("Records", () => {
  it.each([
    { name: "late", isLate: (isReply: boolean) => isReply },
    { name: "early", isLate: (isReply: boolean) => !isReply },
  ])("[R6 trap 1] an answer that is 2 s $name shows nothing in between", async ({ isLate }) => {
    const { platform, server, join } = createRoom();
    const ada = join("ada");
    await platform.advance(100);
    server.intercept((frame) =>
      frame.direction === "down" && (isAnswer(frame) || frame.event === "change") && isLate(isAnswer(frame))
        ? { delayMs: 2_000 }
        : undefined,
    );
    const { settled } = ada.notes.add({ id: "n1", content: "once" });
    await platform.advance(1_000);
    ada.notes.patch("n1", { content: "twice" });
    await platform.advance(5_000);
    expect(await settled).toEqual({ status: "applied", offset: 1 });
    const changes = ada.shown.filter((contents, at) => at === 0 || contents.join() !== ada.shown[at - 1]?.join());
    expect(changes).toEqual([[], ["once"], ["twice"]]); // empty is what was loaded
    expect(ada.client.pendingCount.getSnapshot()).toBe(0);
  });

  it("[R6 trap 2] an own write that comes back twice is shown once", async () => {
    const { platform, server, join } = createRoom();
    const ada = join("ada");
    const ben = join("ben");
    await platform.advance(100);
    server.intercept(({ event }) => (event === "change" ? "twice" : undefined));
    ada.notes.add({ id: "n1", content: "hello", votes: 0 });
    ada.notes.add({ id: "n2", content: "votes" });
    ada.notes.patch("n2", { votes: { increment: 1 } });
    await platform.advance(100);
    for (const { notes } of [ada, ben]) {
      expect(notes.snapshot.getSnapshot().records.map(({ content, votes }) => [content, votes])).toEqual([
        ["hello", 0],
        ["votes", 1],
      ]);
    }
  });

  it("[R4 trap 3] a write whose answer was lost takes effect once", async () => {
    const { platform, server, room, join, mutates } = createRoom();
    const ada = join("ada");
    await platform.advance(100);
    const lossy = server.intercept((frame) => (isAnswer(frame) || frame.event === "change" ? "drop" : undefined));
    const mutation = ada.notes.add({ id: "n1", content: "hello" });
    ada.notes.patch("n1", { votes: { increment: 1 } });
    await platform.advance(100);
    expect(ada.client.pendingCount.getSnapshot()).toBe(2);
    lossy();
    server.kill();
    await platform.advance(10_000);
    expect(await mutation.settled).toEqual({ status: "applied", offset: 1 });
    expect(room.timesApplied(mutation.id)).toBe(1);
    expect(ada.note("n1")).toMatchObject({ content: "hello", votes: 1 });
    expect(ada.client.pendingCount.getSnapshot()).toBe(0);
    expect(mutates()).toHaveLength(2); // synced has told their outcomes
  });

  it("[M1 trap 4] what is sent again has the same bytes", async () => {
    const { platform, server, join, mutates } = createRoom();
    const ada = join("ada");
    await platform.advance(100);
    const lossy = server.intercept(({ event }) => (event === "mutate" ? "drop" : undefined));
    ada.notes.add({ id: "n1", content: "one" });
    ada.notes.add({ id: "n2", content: "two" });
    await platform.advance(100);
    lossy();
    server.kill();
    await platform.advance(10_000);
    const bytes = mutates().map(({ text }) => text.slice(text.indexOf("{")));
    expect(bytes).toHaveLength(4);
    expect(bytes.slice(2)).toEqual(bytes.slice(0, 2));
    expect(ada.client.pendingCount.getSnapshot()).toBe(0);
  });

  it("[trap 5] what was typed while the first letter was on its way is not squashed into it", async () => {
    const { platform, server, room, join } = createRoom();
    const ada = join("ada");
    ada.notes.add({ id: "n1", content: "" });
    await platform.advance(100);
    const lossy = server.intercept(({ event }) => (event === "change" ? "drop" : undefined));
    for (const content of ["H", "He", "Hel", "Hell", "Hello"]) ada.notes.patch("n1", { content });
    await platform.advance(50);
    lossy();
    server.kill();
    await platform.advance(10_000);
    expect(room.records("notes")[0]?.fields.content).toBe("Hello");
    expect(ada.note("n1")?.content).toBe("Hello");
    const contents = ada.shown.flat();
    expect(contents.slice(contents.indexOf("Hello")).every((content) => content === "Hello")).toBe(true);
  });

  it("[M5 trap 6] a refused write neither blocks nor renumbers those behind it", async () => {
    const { platform, server, join, room, sent } = createRoom({
      rules: {
        write: (_who, _channel, { fields }) =>
          fields.content === "two" ? { code: "schema_violation", message: "no" } : undefined,
      },
    });
    const ada = join("ada");
    await platform.advance(100);
    const lossy = server.intercept((frame) => (isAnswer(frame) || frame.event === "change" ? "drop" : undefined));
    const mutations = ["one", "two", "three", "four", "five"].map((content, at) => ada.notes.add({ id: `n${at}`, content }));
    await platform.advance(50);
    lossy();
    server.kill();
    await platform.advance(10_000);
    const outcomes = await Promise.all(mutations.map(({ settled }) => settled));
    expect(outcomes.map(({ status }) => status)).toEqual(["applied", "rejected", "applied", "applied", "applied"]);
    expect(ada.failures).toHaveLength(1);
    expect(ada.failures[0]).toMatchObject({ recordId: "n1", op: "put", fields: { content: "two" } });
    expect(room.records("notes").map(({ id }) => id)).toEqual(["n0", "n2", "n3", "n4"]);
    expect(sent().map(({ n }) => n)).toEqual([1, 2, 3, 4, 5]);
  });

  it("[S2 trap 8] a server that was restored from a backup is loaded anew, and pending writes are kept", async () => {
    const { platform, server, room, join } = createRoom();
    const ada = join("ada");
    ada.notes.add({ id: "n1", content: "in the backup" });
    await platform.advance(100);
    const restore = server.backup();
    ada.notes.add({ id: "n2", content: "lost" });
    await platform.advance(100);
    server.unreachable(true);
    server.kill();
    const pending = ada.notes.add({ id: "n3", content: "pending" });
    await platform.advance(1_000);
    restore();
    server.unreachable(false);
    await platform.advance(60_000);
    expect(await pending.settled).toMatchObject({ status: "applied" });
    expect(room.timesApplied(pending.id)).toBe(1);
    expect(ada.notes.snapshot.getSnapshot().records.map(({ content }) => content)).toEqual(["in the backup", "pending"]);
  });

  it("[S2 trap 8] another epoch keeps pending writes too", async () => {
    const { platform, server, room, join } = createRoom();
    const ada = join("ada");
    ada.notes.add({ id: "n1", content: "lost" });
    await platform.advance(100);
    const lossy = server.intercept(({ event }) => (event === "mutate" ? "drop" : undefined));
    const pending = ada.notes.add({ id: "n2", content: "pending" });
    await platform.advance(100);
    lossy();
    room.lose("epoch-2");
    server.kill();
    await platform.advance(60_000);
    expect(await pending.settled).toMatchObject({ status: "applied" });
    expect(ada.notes.snapshot.getSnapshot().records.map(({ content }) => content)).toEqual(["pending"]);
  });

  it("[J1 trap 9] records that change while they are loaded are neither lost nor doubled", async () => {
    const { platform, server, room, join } = createRoom();
    const ada = join("ada");
    await platform.advance(100);
    let count = 0;
    server.intercept(({ event }) => {
      if (event === "phx_join" || event === "records") ada.notes.add({ content: `note ${++count}`, votes: 0 });
      return undefined;
    });
    const ben = join("ben");
    await platform.advance(1_000);
    expect(count).toBeGreaterThan(1);
    expect(ben.notes.snapshot.getSnapshot().records).toEqual(ada.notes.snapshot.getSnapshot().records);
    expect(ben.notes.snapshot.getSnapshot().records).toHaveLength(room.records("notes").length);
  });

  it("[trap 10] frames that a dead connection still delivers take effect once", async () => {
    const { platform, server, room, join, mutates } = createRoom();
    const ada = join("ada");
    await platform.advance(100);
    const lossy = server.intercept(({ event }) => (event === "mutate" ? "drop" : undefined));
    const mutation = ada.notes.add({ id: "n1", content: "hello" });
    await platform.advance(100);
    lossy();
    server.kill();
    await platform.advance(10_000);
    const [zombie] = mutates();
    if (zombie === undefined) throw new Error("nothing was sent");
    const { client, n, id, at, record } = payloadOf(zombie);
    const content = { fields: { content: "hello" }, sets: {}, counters: {} };
    const late = { ...content, ...{ client, n, id, at, record, op: "put" as const, collection: "notes", base: 0 } };
    const answer = room.mutate(late, "ada", () => undefined);
    expect(answer).toMatchObject({ ok: { status: "applied", duplicate: true } });
    expect(room.timesApplied(mutation.id)).toBe(1);
  });

  it("[M2 trap 13] a clock that is ten years ahead does not win for ever", async () => {
    const { platform, join, sent } = createRoom();
    const ada = join("ada", { now: () => platform.now() + 10 * 365 * 86_400_000 });
    const ben = join("ben");
    ada.notes.add({ id: "n1", content: "from the future" }); // before the first join has told the time
    await platform.advance(100);
    expect(ben.note("n1")?.content).toBe("from the future");
    ben.notes.patch("n1", { content: "from today" });
    await platform.advance(100);
    expect(ada.note("n1")?.content).toBe("from today");
    ada.notes.patch("n1", { content: "seen, and corrected" });
    await platform.advance(100);
    ben.notes.patch("n1", { content: "the last word" });
    await platform.advance(100);
    expect([ada.note("n1")?.content, ben.note("n1")?.content]).toEqual(["the last word", "the last word"]);
    await platform.advance(60_000);
    ada.notes.add({ content: "with a clock that is right again" });
    await platform.advance(100);
    expect(sent().at(-1)?.at.slice(0, 12)).toBe(formatTime(platform.now() - 100, 0).slice(0, 12));
  });

  it("[trap 14] an own later edit wins after the wall clock went back an hour", async () => {
    const { platform, join, sent } = createRoom();
    let aheadMs = 0;
    const ada = join("ada", { now: () => platform.now() + aheadMs });
    ada.notes.add({ id: "n1", content: "before" });
    await platform.advance(100);
    aheadMs = -3_600_000;
    const mutation = ada.notes.patch("n1", { content: "after" });
    expect(ada.note("n1")?.content).toBe("after");
    await platform.advance(100);
    expect(await mutation.settled).toMatchObject({ status: "applied" });
    const [first, second] = sent();
    expect(second && first && second.at > first.at).toBe(true);
  });

  it("[M3 trap 15] an offline edit of a note that was deleted does not revive it, and its text is kept", async () => {
    const { platform, server, room, join } = createRoom();
    const ada = join("ada");
    const ben = join("ben");
    ada.notes.add({ id: "n1", content: "old" });
    await platform.advance(100);
    server.pause();
    const mutation = ada.notes.patch("n1", { content: "written offline" });
    await platform.advance(10);
    // Ben's delete reaches the log first.
    room.mutate(
      {
        ...{ client: "somebody", n: 1, id: "x", at: formatTime(platform.now(), 0), base: 1, op: "delete" },
        ...{ collection: "notes", record: "n1", fields: {}, sets: {}, counters: {} },
      },
      "ben",
      () => undefined,
    );
    server.resume();
    await platform.advance(100);
    expect(await mutation.settled).toMatchObject({ status: "gone" });
    expect(ada.note("n1")).toBeUndefined();
    expect(ada.status("n1")?.failed).toMatchObject({ op: "patch", fields: { content: "written offline" } });
    ada.notes.restore("n1", { content: "written offline" });
    expect(ada.note("n1")?.content).toBe("written offline");
    await platform.advance(100);
    expect(ben.note("n1")?.content).toBe("written offline");
    expect(ada.status("n1")).toBeUndefined();
  });
});
