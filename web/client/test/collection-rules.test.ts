import { describe, expect, it } from "vitest";
import { createRoom } from "./people";

const overloaded = { code: "overloaded", message: "too much", retryable: true, retryAfterMs: 500 };

describe("A write", () => {
  it("[R6] is shown before it was sent, with the metadata it will have", async () => {
    const { platform, join, mutates } = createRoom();
    const ada = join("ada");
    await platform.advance(100);
    const mutation = ada.notes.add({ content: "hello", tags: ["b", "a"] });
    expect(ada.note(mutation.recordId)).toEqual({
      ...{ id: mutation.recordId, version: 0, content: "hello", tags: ["a", "b"] },
      ...{ createdAt: platform.now(), createdBy: "ada", updatedAt: platform.now(), updatedBy: "ada" },
    });
    expect(ada.status(mutation.recordId)).toEqual({ pending: 1 });
    expect(ada.client.pendingCount.getSnapshot()).toBe(1);
    await platform.advance(100);
    expect(mutates()).toHaveLength(1);
    expect(ada.note(mutation.recordId)?.version).toBe(1);
    expect(ada.status(mutation.recordId)).toBeUndefined();
  });

  it("[M1] [trap 28] sends at most 16 at once, in order", async () => {
    const { platform, server, room, join, sent } = createRoom();
    const ada = join("ada");
    await platform.advance(100);
    const deaf = server.intercept(({ event }) => (event === "change" || event === "phx_reply" ? "drop" : undefined));
    for (let at = 0; at < 40; at++) ada.notes.add({ id: `n${String(at).padStart(2, "0")}`, content: "x" });
    await platform.advance(100);
    expect(sent().map(({ n }) => n)).toEqual(Array.from({ length: 16 }, (_, at) => at + 1));
    deaf();
    server.kill();
    await platform.advance(10_000);
    expect(room.records("notes").map(({ version }) => version)).toEqual(Array.from({ length: 40 }, (_, at) => at + 1));
  });

  it("[M1] that was refused for now is sent again with the same bytes, before those behind it", async () => {
    const { platform, server, room, join, mutates } = createRoom();
    const ada = join("ada");
    await platform.advance(100);
    server.refuseNext(overloaded);
    const mutations = ["one", "two", "three"].map((content) => ada.notes.add({ content }));
    await platform.advance(400);
    mutations.push(ada.notes.add({ content: "four, while waiting" }));
    await platform.advance(50);
    expect(mutates()).toHaveLength(3);
    await platform.advance(200);
    const bytes = mutates().map(({ text }) => text.slice(text.indexOf("{")));
    expect(bytes.slice(3, 6)).toEqual(bytes.slice(0, 3));
    expect(bytes).toHaveLength(7);
    const outcomes = await Promise.all(mutations.map(({ settled }) => settled));
    expect(outcomes).toEqual([1, 2, 3, 4].map((offset) => ({ status: "applied", offset })));
    expect(room.records("notes")).toHaveLength(4);
  });

  it("[M1] whose predecessor was lost on the way is sent again behind it", async () => {
    const { platform, server, room, join, sent } = createRoom();
    const ada = join("ada");
    ada.notes.add({ id: "n0", content: "zero" });
    await platform.advance(100);
    let isLost = false;
    server.intercept(({ event }) => {
      if (event !== "mutate" || isLost) return undefined;
      isLost = true;
      return "drop";
    });
    ada.notes.add({ id: "n1", content: "one" });
    ada.notes.add({ id: "n2", content: "two" });
    await platform.advance(100);
    expect(sent().map(({ n }) => n)).toEqual([1, 2, 3, 2, 3]);
    expect(room.records("notes").map(({ id, version }) => [id, version])).toEqual([
      ["n0", 1],
      ["n1", 2],
      ["n2", 3],
    ]);
    expect(ada.client.pendingCount.getSnapshot()).toBe(0);
  });

  it("[M1] of a client that the server has forgotten goes out under a new client id, with its own id", async () => {
    const { platform, room, join, sent } = createRoom();
    const ada = join("ada");
    ada.notes.add({ id: "n1", content: "one" });
    await platform.advance(100);
    room.forgetClients();
    const mutations = ["two", "three"].map((content) => ada.notes.add({ content }));
    await platform.advance(5_000);
    expect(await Promise.all(mutations.map(({ settled }) => settled))).toMatchObject([
      { status: "applied" },
      { status: "applied" },
    ]);
    const [first, ...rest] = sent();
    const renewed = rest.filter(({ client }) => client !== first?.client);
    expect(renewed.map(({ n, id }) => [n, id])).toEqual(mutations.map(({ id }, at) => [at + 1, id]));
  });

  it("[M1] that is refused for good is reported, and those behind it go on", async () => {
    const { platform, server, room, join } = createRoom();
    const ada = join("ada");
    await platform.advance(100);
    server.refuseNext({ code: "invalid_payload", message: "cannot be understood", retryable: false });
    const mutations = ["one", "two", "three"].map((content) => ada.notes.add({ content }));
    await platform.advance(5_000);
    const outcomes = await Promise.all(mutations.map(({ settled }) => settled));
    expect(outcomes[0]).toEqual({ status: "rejected", code: "invalid_payload", message: "cannot be understood" });
    expect(outcomes.slice(1)).toMatchObject([{ status: "applied" }, { status: "applied" }]);
    expect(room.records("notes").map(({ fields }) => fields.content)).toEqual(["two", "three"]);
    expect(ada.failures).toMatchObject([{ op: "put", fields: { content: "one" } }]);
  });

  it("[M3] of an id that exists rolls back, and shows the other's record", async () => {
    const { platform, join } = createRoom();
    const [ada, ben] = [join("ada"), join("ben")];
    await platform.advance(100);
    ben.notes.add({ id: "n1", content: "Ben's" });
    const { settled } = ada.notes.add({ id: "n1", content: "Ada's" });
    expect(ada.note("n1")?.content).toBe("Ada's");
    await platform.advance(100);
    const outcomes = [ada.failures, ben.failures].map(([failure]) => failure?.outcome.status);
    expect(outcomes).toContainEqual("exists");
    expect(ada.note("n1")?.content).toBe(ben.note("n1")?.content);
    expect((await settled).status).toMatch(/applied|exists/);
  });

  it("[M4] on a version that is not the newest is rejected, with the current record", async () => {
    const { platform, join } = createRoom();
    const [ada, ben] = [join("ada"), join("ben")];
    ada.notes.add({ id: "n1", content: "one" });
    await platform.advance(100);
    ben.notes.patch("n1", { content: "two" });
    await platform.advance(100);
    const { settled } = ada.notes.patch("n1", { content: "three" }, { ifVersion: 1 });
    expect(ada.note("n1")?.content).toBe("three");
    await platform.advance(100);
    expect(await settled).toMatchObject({
      status: "rejected",
      code: "version_conflict",
      current: { version: 2, fields: { content: "two" } },
    });
    expect(ada.note("n1")?.content).toBe("two");
  });

  it("[M5] that is refused rolls back and keeps its text until it is dismissed or written again", async () => {
    const { platform, server, join } = createRoom();
    const ada = join("ada");
    ada.notes.add({ id: "n1", content: "good" });
    await platform.advance(100);
    const error = { code: "schema_violation", message: "content: too long", path: "/content" };
    server.rejectNext(error);
    const { settled } = ada.notes.patch("n1", { content: "bad", tags: ["x"] });
    await platform.advance(100);
    expect(await settled).toEqual({ status: "rejected", offset: 2, ...error });
    expect(ada.note("n1")?.content).toBe("good");
    expect(ada.status("n1")).toEqual({ pending: 0, failed: ada.failures[0] });
    expect(ada.failures[0]?.fields).toEqual({ content: "bad", tags: ["x"] });
    ada.notes.dismiss("n1");
    expect(ada.status("n1")).toBeUndefined();

    server.rejectNext(error);
    ada.notes.patch("n1", { content: "worse" });
    await platform.advance(100);
    expect(ada.status("n1")?.failed).toBeDefined();
    ada.notes.patch("n1", { content: "better" });
    expect(ada.status("n1")).toEqual({ pending: 1 });
  });

  it("[M6] does not carry what is the server's, even when an app hands a whole record back", async () => {
    const { platform, join, sent } = createRoom();
    const ada = join("ada");
    ada.notes.add({ id: "n1", content: "one", votes: 1 });
    await platform.advance(100);
    const note = ada.note("n1");
    if (note === undefined) throw new Error("no note");
    ada.notes.patch("n1", { ...note, content: "two" });
    await platform.advance(100);
    expect(sent()[1]?.fields).toEqual({ content: "two", votes: 1 });
  });

  it("[M8] is nobody else's business when it comes to nothing", async () => {
    const { platform, server, join } = createRoom();
    const [ada, ben] = [join("ada"), join("ben")];
    await platform.advance(100);
    const before = ben.notes.snapshot.getSnapshot();
    server.rejectNext({ code: "forbidden", message: "no" });
    ada.notes.add({ content: "one" });
    await platform.advance(100);
    expect(ben.notes.snapshot.getSnapshot()).toBe(before);
  });

  it("[R7] that is larger than a record may be is refused without being sent", async () => {
    const { platform, join, mutates } = createRoom();
    const ada = join("ada");
    ada.notes.add({ id: "n1", content: "small" });
    await platform.advance(100);
    const { settled } = ada.notes.patch("n1", { content: "é".repeat(140_000) });
    expect(ada.note("n1")?.content).toBe("small");
    expect(ada.status("n1")).toMatchObject({ pending: 0, failed: { outcome: { code: "record_too_large" } } });
    expect(await settled).toMatchObject({ status: "rejected", code: "record_too_large" });
    const unknown = await ada.notes.patch("nowhere", { content: "x".repeat(300_000) }).settled;
    expect(unknown).toMatchObject({ status: "rejected", code: "record_too_large" });
    await platform.advance(100);
    expect(mutates()).toHaveLength(1);
  });

  it("that changes nothing is noop at once", async () => {
    const { platform, join, mutates } = createRoom();
    const ada = join("ada");
    ada.notes.add({ id: "n1", content: "one", tags: ["a"] });
    await platform.advance(100);
    expect(await ada.notes.patch("n1", { tags: ["a"] }).settled).toEqual({ status: "noop", offset: 1 });
    expect(mutates()).toHaveLength(1);
  });

  it("[trap 26] settles as rejected when the channel is refused, and as unknown when the client closes", async () => {
    const { platform, server, join } = createRoom();
    server.denyJoins({ code: "unauthorized", message: "not you", retryable: false });
    const ada = join("ada");
    const refused = ada.notes.add({ content: "one" });
    await platform.advance(100);
    expect(await refused.settled).toEqual({ status: "rejected", code: "unauthorized", message: "not you" });
    expect(ada.notes.snapshot.getSnapshot().records).toEqual([]);
    const unanswered = ada.notes.add({ content: "two" });
    ada.client.close();
    expect(await unanswered.settled).toEqual({ status: "unknown" });
    expect(ada.failures).toHaveLength(2);
  });
});

describe("Typing", () => {
  it("while offline is one mutation, with the id of the first", async () => {
    const { platform, join, sent } = createRoom();
    const ada = join("ada");
    ada.notes.add({ id: "n1", content: "" });
    const mutations = ["H", "He", "Hel", "Hell", "Hello"].map((content) => ada.notes.patch("n1", { content }));
    expect(ada.status("n1")?.pending).toBe(2);
    await platform.advance(100);
    expect(sent().map(({ op, fields }) => [op, fields?.content])).toEqual([
      ["put", ""],
      ["patch", "Hello"],
    ]);
    expect(new Set(mutations.map(({ id }) => id)).size).toBe(1);
    for (const { settled } of mutations) expect(await settled).toEqual({ status: "applied", offset: 2 });
  });

  it("is not squashed into a write of other fields: that one may be older than somebody's", async () => {
    const { platform, join, sent } = createRoom();
    const ada = join("ada");
    ada.notes.add({ id: "n1", content: "" });
    ada.notes.patch("n1", { timestampMs: 1 });
    ada.notes.patch("n1", { content: "x" });
    ada.notes.patch("n1", { votes: { increment: 1 } });
    ada.notes.patch("n1", { votes: { increment: 2 }, content: "y" });
    await platform.advance(100);
    expect(sent().map(({ fields, counters }) => ({ ...fields, ...counters }))).toEqual([
      { content: "" },
      { timestampMs: 1 },
      { content: "x" },
      { content: "y", votes: 3 },
    ]);
  });
});

describe("A conflict", () => {
  it("is told to who wrote offline and lost", async () => {
    const { platform, server, join } = createRoom();
    const [ada, ben] = [join("ada"), join("ben")];
    ada.notes.add({ id: "n1", content: "old", timestampMs: 1 });
    await platform.advance(100);
    const slow = server.intercept(({ event, socket }) => (event === "mutate" && socket === 1 ? "drop" : undefined));
    const both = ada.notes.patch("n1", { content: "Ada's", timestampMs: 2 });
    const { settled } = ada.notes.patch("n1", { content: "Ada's second" });
    await platform.advance(10);
    ben.notes.patch("n1", { content: "Ben's" });
    await platform.advance(10);
    slow();
    server.kill();
    await platform.advance(10_000);
    expect(await both.settled).toMatchObject({ status: "applied", lost: ["content"] });
    expect(await settled).toMatchObject({ status: "superseded" });
    expect(ada.conflicts).toContainEqual({
      ...{ channel: "interview:42", collection: "notes", recordId: "n1", field: "content" },
      ...{ mine: "Ada's second", theirs: "Ben's" },
    });
    expect(ada.failures).toEqual([]);
    expect(ada.status("n1")).toBeUndefined();
    expect(ada.note("n1")).toMatchObject({ content: "Ben's", timestampMs: 2 });
  });

  it("is told to whose write was covered by somebody who had not seen it, and to nobody when it was seen", async () => {
    const { platform, server, join } = createRoom();
    const [ada, ben] = [join("ada"), join("ben")];
    ada.notes.add({ id: "n1", content: "old" });
    await platform.advance(100);
    ben.notes.patch("n1", { content: "seen and corrected" });
    await platform.advance(100);
    expect(ada.conflicts).toEqual([]);

    const slow = server.intercept(({ event, socket }) => (event === "change" && socket === 2 ? { delayMs: 50 } : undefined));
    ada.notes.patch("n1", { content: "Ada's" });
    await platform.advance(10);
    ben.notes.patch("n1", { content: "Ben's" });
    await platform.advance(1_000);
    slow();
    expect(ada.note("n1")?.content).toBe("Ben's");
    expect(ada.conflicts).toEqual([
      {
        ...{ channel: "interview:42", collection: "notes", recordId: "n1", field: "content" },
        ...{ mine: "Ada's", theirs: "Ben's", by: "ben" },
      },
    ]);
  });

  it("names who won when that is known, and is none when both wrote the same", async () => {
    const { platform, server, join } = createRoom();
    const [ada, ben] = [join("ada"), join("ben")];
    ada.notes.add({ id: "n1", content: "old" });
    await platform.advance(100);
    for (const [mine, theirs] of [
      ["Ada's", "Ben's"],
      ["same", "same"],
    ]) {
      const slow = server.intercept(({ event, socket }) => (event === "mutate" && socket !== 2 ? "drop" : undefined));
      ada.notes.patch("n1", { content: mine ?? "" });
      await platform.advance(10);
      ben.notes.patch("n1", { content: theirs ?? "" });
      await platform.advance(10);
      slow();
      ada.client.reconnect();
      server.intercept(({ event }) => (event === "change" ? "deliver" : undefined));
      server.kill();
      await platform.advance(10_000);
    }
    expect(ada.conflicts.map(({ mine, theirs, by }) => [mine, theirs, by])).toEqual([["Ada's", "Ben's", "ben"]]);
  });
});
