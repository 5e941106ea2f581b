/** What only a channel that answers out of turn, or late, can bring about. */
import { describe, expect, it } from "vitest";
import type { StoreHost } from "../src/collection/seam";
import { createChannelStore } from "../src/collection/store";
import type { WireChange, WireOutcome, WireRecord, WireRefusal } from "../src/collection/wire";
import { createFakePlatform } from "../src/testing";
import type { SentMutation } from "./people";

type Reply = { ok: WireOutcome } | { error: WireRefusal };

/** A store whose channel is in the test's hands. */
function createStore() {
  const platform = createFakePlatform();
  const sent: (SentMutation & { reply: (reply: Reply) => void })[] = [];
  const state = { client: "c1", renewed: 0, isLive: true, offset: 0 };
  const host: StoreHost = {
    channel: "room",
    clientId: () => state.client,
    renewClient: () => {
      state.client = `c${++state.renewed + 1}`;
    },
    offset: () => state.offset,
    subject: () => "ada",
    now: platform.now,
    uuid: platform.uuid,
    setTimeout: platform.setTimeout,
    clearTimeout: platform.clearTimeout,
    limits: () => ({ recordBytes: 262_144, frameBytes: 5_000_000 }),
    sendMutation: (json, reply) => {
      if (state.isLive) sent.push({ ...JSON.parse(json), reply });
      return state.isLive;
    },
    emit: () => {},
    collectionsChanged: () => {},
    reportError: platform.reportError,
  };
  const store = createChannelStore(host);
  const notes = store.collection<{ content: string }>("notes");
  const synced = (last = 0, offset = state.offset, outcomes: WireOutcome[] = []) =>
    store.onSynced({ epoch: "e", offset, last, outcomes });
  return { platform, store, notes, sent, state, synced };
}

const refusal = (code: string, rest: Partial<WireRefusal> = {}): Reply => ({
  error: { code, message: code, retryable: true, ...rest },
});

function change({ client, n, id, record }: SentMutation, offset: number): WireChange {
  const state: WireRecord = {
    ...{ id: record, version: offset, fields: { content: `at ${offset}` }, stamps: {} },
    ...{ createdBy: "ada", createdAt: 0, updatedBy: "ada", updatedAt: 0 },
  };
  return { offset, collection: "notes", record, op: "put", status: "applied", client, n, id, by: "ada", time: 0, state };
}

describe("A store", () => {
  it("[R6] does not settle on an answer that is ahead of the stream, and does when the stream is past it", async () => {
    const { store, notes, sent, synced } = createStore();
    synced();
    const { settled } = notes.add({ id: "n1", content: "x" });
    sent[0]?.reply({ ok: { n: 1, offset: 7, status: "applied" } });
    expect(store.pendingCount.getSnapshot()).toBe(1);
    // Its own change was lost to this client; somebody else's, behind it, shows that it will not come.
    store.onChange({ ...change({ client: "other", n: 1, id: "x", record: "n2", at: "", op: "put" }, 8) });
    expect(store.pendingCount.getSnapshot()).toBe(0);
    expect(await settled).toEqual({ status: "applied", offset: 7 });
  });

  it("[M1] settles a repeat whose outcome is forgotten as unknown", async () => {
    const { notes, sent, synced } = createStore();
    synced();
    const { settled } = notes.add({ id: "n1", content: "x" });
    sent[0]?.reply({ ok: { n: 1, offset: 0, status: "unknown", duplicate: true } });
    expect(await settled).toEqual({ status: "unknown" });
  });

  it("[M1] sends again what synced counts but does not tell the outcome of", () => {
    const { store, notes, sent, synced } = createStore();
    synced();
    notes.add({ id: "n1", content: "x" });
    store.onDown();
    synced(1);
    expect(sent.map(({ n }) => n)).toEqual([1, 1]);
    expect(store.pendingCount.getSnapshot()).toBe(1);
  });

  it("[trap 10] ignores the answers of an earlier membership", () => {
    const { store, notes, sent, synced } = createStore();
    synced();
    notes.add({ id: "n1", content: "x" });
    store.onDown();
    synced();
    sent[0]?.reply(refusal("invalid_payload", { retryable: false }));
    sent[0]?.reply({ ok: { n: 1, offset: 0, status: "applied" } });
    expect(store.pendingCount.getSnapshot()).toBe(1);
    expect(sent).toHaveLength(2);
  });

  it("[M1] ignores a refusal that is older than the newest sending", async () => {
    const { platform, notes, sent, synced, state } = createStore();
    synced();
    notes.add({ id: "n1", content: "x" });
    notes.add({ id: "n2", content: "y" });
    sent[0]?.reply(refusal("overloaded", { retryAfterMs: 100 }));
    await platform.advance(100);
    expect(sent.map(({ n }) => n)).toEqual([1, 2, 1]);
    sent[1]?.reply(refusal("client_unknown", { retryable: false }));
    expect(state.renewed).toBe(0);
    expect(sent.map(({ n }) => n)).toEqual([1, 2, 1, 2]);
    sent[1]?.reply(refusal("client_unknown", { retryable: false }));
    expect(sent).toHaveLength(4);
  });

  it("waits a second where a refusal does not say how long, and no longer than the connection lives", async () => {
    const { platform, store, notes, sent, synced } = createStore();
    synced();
    notes.add({ id: "n1", content: "x" });
    sent[0]?.reply(refusal("overloaded"));
    await platform.advance(999);
    expect(sent).toHaveLength(1);
    await platform.advance(1);
    expect(sent).toHaveLength(2);
    sent[1]?.reply(refusal("overloaded", { retryAfterMs: 60_000 }));
    store.onDown();
    expect(platform.timers).toBe(0);
    synced();
    expect(sent).toHaveLength(3);
  });

  it("[M1] goes on counting where an earlier store of the channel has stopped", () => {
    const { notes, sent, synced } = createStore();
    synced(12);
    notes.add({ id: "n1", content: "x" });
    expect(sent[0]?.n).toBe(13);
  });

  it("[R4] takes a number back that a late frame of an earlier store has used", () => {
    const { store, notes, sent, synced } = createStore();
    synced(12);
    const mutation = notes.add({ id: "n1", content: "x" });
    const [first] = sent;
    if (first === undefined) throw new Error("nothing was sent");
    store.onChange(change({ ...first, id: "of-the-earlier-store", record: "n0" }, 5));
    first.reply({ ok: { n: 13, offset: 5, status: "applied", duplicate: true } });
    expect(store.pendingCount.getSnapshot()).toBe(1);
    expect(sent.map(({ n, id }) => [n, id])).toEqual([
      [13, mutation.id],
      [14, mutation.id],
    ]);
  });

  it("[M1] keeps the order of its writes when it begins again under another client id", () => {
    const { store, notes, sent, synced, state } = createStore();
    synced(3);
    for (let at = 0; at < 20; at++) notes.add({ id: `n${at}`, content: "x" });
    expect(sent).toHaveLength(16);
    const [first] = sent;
    first?.reply(refusal("client_unknown", { retryable: false }));
    expect(state.renewed).toBe(1);
    store.onDown();
    synced(0);
    expect(sent.slice(16).map(({ client, n, record }) => [client, n, record])).toEqual(
      Array.from({ length: 16 }, (_, at) => ["c2", at + 1, `n${at}`]),
    );
  });

  it("[trap 34] refuses everything that was written under another user's client id", async () => {
    const { store, notes, sent, synced, state } = createStore();
    synced();
    const mutations = ["n1", "n2"].map((id) => notes.add({ id, content: "x" }));
    sent[0]?.reply(refusal("forbidden_client", { retryable: false }));
    for (const { settled } of mutations) expect(await settled).toMatchObject({ status: "rejected", code: "forbidden_client" });
    expect(store.pendingCount.getSnapshot()).toBe(0);
    expect(state.renewed).toBe(1);
  });

  it("[R6] shows nothing of a catch-up that is cut off, and everything when the next one ends", () => {
    const { store, notes, synced } = createStore();
    const record = change({ client: "", n: 0, id: "", record: "n1", at: "", op: "put" }, 3).state;
    if (record === undefined) throw new Error("no record");
    store.onRecords({ collection: "notes", reset: true, offset: 3, records: [record], more: true });
    store.onDown();
    expect(notes.snapshot.getSnapshot()).toMatchObject({ records: [], isLoading: true });
    store.onRecords({ collection: "notes", reset: true, offset: 3, records: [record], more: false });
    synced(0, 3);
    expect(notes.snapshot.getSnapshot()).toMatchObject({ records: [{ id: "n1" }], isLoading: false });
  });

  it("[S3] says which collections it holds: the others must be loaded whole", () => {
    const { store, synced } = createStore();
    const reset = (collection: string) => store.onRecords({ collection, reset: true, offset: 3, records: [], more: false });
    expect(store.loaded()).toEqual([]);
    reset("notes");
    synced(0, 3);
    expect(store.loaded()).toEqual(["notes"]);
    store.collection("tags");
    expect(store.loaded()).toEqual(["notes"]);
    reset("tags");
    synced(0, 3);
    expect(store.loaded()).toEqual(["notes", "tags"]);
  });

  it("does not go back to what a late or doubled change says", () => {
    const { store, notes, synced } = createStore();
    const told = (offset: number) =>
      store.onChange(change({ client: "other", n: offset, id: "", record: "n1", at: "", op: "put" }, offset));
    synced(0, 0);
    told(4);
    told(6);
    told(4);
    expect(notes.snapshot.getSnapshot().records).toMatchObject([{ content: "at 6", version: 6 }]);
    store.onRecords({ collection: "notes", reset: true, offset: 9, records: [], more: false });
    synced(0, 9);
    told(9);
    expect(notes.snapshot.getSnapshot().records).toEqual([]);
  });

  it("ignores pages and changes of collections that nobody has asked for", () => {
    const { platform, store, notes, synced } = createStore();
    store.onRecords({ collection: "elsewhere", reset: true, offset: 3, records: [], more: false });
    synced(0, 3);
    store.onChange({ ...change({ client: "c1", n: 1, id: "x", record: "n1", at: "", op: "put" }, 4), collection: "elsewhere" });
    expect(notes.snapshot.getSnapshot().records).toEqual([]);
    expect(platform.errors).toEqual([]);
    expect(store.names()).toEqual(["notes"]);
  });
});
