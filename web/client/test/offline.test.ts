import { describe, expect, it } from "vitest";
import { createWorld } from "./offline-world";
import { payloadOf } from "./people";

describe("A client with a storage", () => {
  it("[R6] starts offline with what it knew, and says that it is stale until the server is heard", async () => {
    const { open, pass, isOffline, platform } = createWorld();
    const before = open();
    before.notes.add({ id: "n1", content: "Kept" });
    await pass(1_000);
    expect(before.storage()).toEqual({ mode: "device" });
    before.tab.kill();

    isOffline(true);
    const after = open();
    expect(after.snapshot()).toMatchObject({ isLoading: true, isStale: false });
    await pass();
    expect(after.contents()).toEqual(["Kept"]);
    expect(after.snapshot()).toMatchObject({ isLoading: false, isStale: true });

    isOffline(false);
    await pass(35_000);
    expect(after.snapshot()).toMatchObject({ isLoading: false, isStale: false });
    expect(platform.errors).toEqual([]);
  });

  it("[R3] [S3] goes on from the kept position: only what changed since comes over the wire", async () => {
    const { open, pass, server } = createWorld();
    const before = open();
    for (let i = 0; i < 20; i++) before.notes.add({ id: `n${10 + i}`, content: `${i}` });
    await pass(1_000);
    before.tab.kill();
    const seen = server.frames.length;
    const after = open();
    await pass(1_000);
    const join = server.frames.slice(seen).find(({ event }) => event === "phx_join");
    expect(join?.payload).toMatchObject({ config: { chorale: { resume: { offset: 20, collections: ["notes"] } } } });
    expect(server.frames.slice(seen).filter(({ event }) => event === "records")).toEqual([]);
    expect(after.contents()).toHaveLength(20);
  });

  it("[R4] hands a write to the database, to be committed, before the task ends that made it: a reload may be next", async () => {
    const { open, pass } = createWorld();
    const { notes } = open();
    await pass(1_000);
    const orders: string[] = [];
    const { commit } = IDBTransaction.prototype;
    const put = IDBObjectStore.prototype.put;
    IDBTransaction.prototype.commit = function (this: IDBTransaction) {
      orders.push("commit");
      commit.call(this);
    };
    IDBObjectStore.prototype.put = function (this: IDBObjectStore, value: { id: string; written: { content: string } }) {
      if (this.name === "outbox") orders.push(value.written.content);
      return put.call(this, value);
    };
    try {
      notes.add({ id: "n1", content: "first" });
      notes.add({ id: "n2", content: "second" });
      for (let turn = 0; turn < 20; turn++) await Promise.resolve(); // no task
      expect(orders).toEqual(["first", "second", "commit"]);
      notes.add({ id: "n3", content: "while the others are being written" });
      for (let turn = 0; turn < 20; turn++) await Promise.resolve();
      expect(orders.slice(3)).toEqual(["while the others are being written", "commit"]);
    } finally {
      IDBTransaction.prototype.commit = commit;
      IDBObjectStore.prototype.put = put;
    }
  });

  it("[R4] [M1] sends what a tab that is gone has written: the same client id, number and bytes, each with its effect once", async () => {
    const { open, pass, isOffline, room, sent } = createWorld();
    const before = open();
    await pass(100);
    isOffline(true);
    for (let i = 0; i < 200; i++) before.notes.add({ id: `n${1_000 + i}`, content: `${i}` });
    before.notes.patch("n1000", { content: "changed" });
    await pass(5_000); // a database of the test's kind takes its turns
    before.tab.kill();

    const between = open(); // offline as well: sees them, and adds one
    await pass();
    expect(between.pending()).toBe(201);
    expect(between.contents()[0]).toBe("changed");
    between.notes.add({ id: "n2000", content: "later" });
    await pass();
    between.tab.kill();

    isOffline(false);
    const after = open();
    await pass(60_000);
    expect(after.pending()).toBe(0);
    expect(room.records("notes").map(({ fields }) => fields.content)).toEqual([
      "changed",
      ...Array.from({ length: 199 }, (_, i) => `${i + 1}`),
      "later",
    ]);
    expect(room.appliedIds.map((id) => room.timesApplied(id)).every((times) => times === 1)).toBe(true);
    const numbers = sent().map(payloadOf);
    const [first] = numbers;
    expect(numbers.filter(({ client }) => client === first?.client).map(({ n }) => n)).toEqual(
      Array.from({ length: 201 }, (_, i) => i + 1),
    );
    expect(new Set(numbers.map(({ client }) => client)).size).toBe(2);
  }, 30_000);

  it("[R4] a frame that was sent and not answered is sent again as it was, by the next tab", async () => {
    const { open, pass, server, room, sent } = createWorld();
    const before = open();
    await pass(100);
    const stop = server.intercept(({ direction }) => (direction === "down" ? "drop" : undefined));
    before.notes.patch("none", { content: "gone" });
    before.notes.add({ id: "n1", content: "applied" });
    await pass(10);
    expect(room.records("notes")).toHaveLength(1);
    before.tab.kill();
    stop();
    const after = open();
    await pass(5_000);
    expect([after.pending(), after.contents()]).toEqual([0, ["applied"]]);
    expect(new Set(sent().map(({ text }) => JSON.stringify(JSON.parse(text)[4]))).size).toBe(2);
    expect(room.appliedIds).toHaveLength(1);
  });

  it("[M1] numbers anew, under the same ids, when the server has forgotten the client", async () => {
    const { open, pass, isOffline, room, sent } = createWorld();
    const before = open();
    before.notes.add({ id: "n0", content: "known" });
    await pass(1_000);
    isOffline(true);
    before.notes.add({ id: "n1", content: "one" });
    before.notes.add({ id: "n2", content: "two" });
    await pass();
    before.tab.kill();
    room.forgetClients();
    isOffline(false);
    const after = open();
    await pass(60_000);
    expect([after.pending(), after.contents()]).toEqual([0, ["known", "one", "two"]]);
    const last = sent().map(payloadOf).slice(-2);
    expect(last.map(({ n }) => n)).toEqual([1, 2]);
    expect(room.appliedIds).toHaveLength(3);
  });

  it("[trap 8] [S2] keeps what is unsent when the server has another log", async () => {
    const { open, pass, isOffline, room } = createWorld();
    const before = open();
    before.notes.add({ id: "n1", content: "lost with the server" });
    await pass(1_000);
    isOffline(true);
    before.notes.add({ id: "n2", content: "unsent" });
    await pass();
    before.tab.kill();
    room.lose("another");
    isOffline(false);
    const after = open();
    await pass(60_000);
    expect([after.pending(), after.contents()]).toEqual([0, ["unsent"]]);
    after.tab.kill();
    isOffline(true);
    const later = open();
    await pass();
    expect(later.contents()).toEqual(["unsent"]);
  });

  it("[R6] a rejected write is told by the tab that sends it, and not sent again", async () => {
    const { open, pass, isOffline, server } = createWorld();
    const before = open();
    await pass(100);
    isOffline(true);
    before.notes.add({ id: "n1", content: "bad" });
    before.notes.add({ id: "n2", content: "good" });
    await pass();
    before.tab.kill();
    server.rejectNext({ code: "schema_violation", message: "no" });
    isOffline(false);
    const after = open();
    const failures: unknown[] = [];
    after.client.on("mutationFailed", ({ recordId, fields }) => failures.push([recordId, fields.content]));
    await pass(60_000);
    expect([failures, after.contents(), after.pending()]).toEqual([[["n1", "bad"]], ["good"], 0]);
    after.tab.kill();
    const later = open();
    await pass(5_000);
    expect([later.contents(), later.pending()]).toEqual([["good"], 0]);
  });

  it("closing a client leaves what it has not sent to the next one, and is no failure", async () => {
    const { open, pass, isOffline, room } = createWorld();
    const before = open();
    await pass(100);
    isOffline(true);
    const failures: unknown[] = [];
    before.client.on("mutationFailed", (failure) => failures.push(failure));
    const { settled } = before.notes.add({ id: "n1", content: "later" });
    before.client.close();
    expect([await settled, failures]).toEqual([{ status: "unknown" }, []]);
    await pass(10);
    isOffline(false);
    const after = open();
    await pass(5_000);
    expect([after.pending(), room.records("notes").length]).toEqual([0, 1]);
  });

  it("[trap 34] nobody sees or sends what another user of the browser wrote", async () => {
    const { open, pass, isOffline, room, sent } = createWorld();
    const ada = open();
    await pass(100);
    isOffline(true);
    ada.notes.add({ id: "n1", content: "Ada's" });
    await pass();
    ada.tab.kill();
    isOffline(false);
    const ben = open({ sub: "ben" });
    await pass(5_000);
    expect([ben.contents(), ben.pending(), sent()]).toEqual([[], 0, []]);
    ben.tab.kill();
    open();
    await pass(5_000);
    expect(room.records("notes")).toMatchObject([{ createdBy: "ada" }]);
  });

  it("[trap 34] a token of somebody else opens nothing of what is kept", async () => {
    const { open, pass, isOffline, sent, server } = createWorld();
    const ada = open();
    await pass(100);
    isOffline(true);
    ada.notes.add({ id: "n1", content: "Ada's" });
    await pass();
    ada.tab.kill();
    isOffline(false);
    let token = server.token("ben");
    const mixed = open({ getToken: () => token });
    await pass(5_000);
    expect([sent(), mixed.channel.status.getSnapshot().error?.code]).toEqual([[], "other_user"]);
    token = server.token("ada");
    await pass(60_000);
    expect([mixed.pending(), sent().length]).toEqual([0, 1]);
  });

  it("clear() forgets everything, in all tabs", async () => {
    const { open, pass, isOffline } = createWorld();
    const [one, other] = [open(), open()];
    one.notes.add({ id: "n1", content: "secret" });
    await pass(1_000);
    const cleared = one.client.clear();
    await pass(1_000);
    await cleared;
    expect(one.storage()).toEqual({ mode: "memory", reason: "cleared" });
    expect(other.storage()).toEqual({ mode: "memory", reason: "cleared" });
    other.tab.kill();
    isOffline(true);
    const next = open();
    await pass();
    expect(next.snapshot()).toMatchObject({ isLoading: true, records: [] });
  });

  it("[trap 26] a channel that is refused for good leaves nothing on the device", async () => {
    const { open, pass, server, isOffline } = createWorld();
    const before = open();
    before.notes.add({ id: "n1", content: "secret" });
    await pass(1_000);
    server.denyJoins({ code: "unauthorized", message: "not any more", retryable: false });
    server.kill();
    await pass(5_000);
    before.tab.kill();
    server.denyJoins();
    isOffline(true);
    const after = open();
    await pass();
    expect(after.snapshot()).toMatchObject({ isLoading: true, records: [] });
  });
});
