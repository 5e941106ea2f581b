/** What a device does to those who keep something on it. */
import { describe, expect, it } from "vitest";
import type { Device } from "../src/offline";
import { createWorld } from "./offline-world";

const full = () => new DOMException("no room", "QuotaExceededError");

/** A device whose transactions go through the test's hands. */
function tampered(device: Device, tamper: (handle: IDBDatabase, count: number) => void): Device {
  let count = 0;
  const open = (name: string, version?: number) => {
    const request = device.indexedDB?.open(name, version) as IDBOpenDBRequest;
    request.addEventListener("success", () => {
      const begin = request.result.transaction.bind(request.result);
      request.result.transaction = (...args: Parameters<typeof begin>) => {
        tamper(request.result, ++count);
        return begin(...args);
      };
    });
    return request;
  };
  return { ...device, indexedDB: { ...device.indexedDB, open } as IDBFactory };
}

describe("A device", () => {
  it("[trap 30] without IndexedDB: memory, with the reason, and the app works", async () => {
    const { browser, open, pass, room } = createWorld();
    const { openBroadcast } = browser.tab().device;
    const opened = open({ device: { ...(openBroadcast && { openBroadcast }) } });
    opened.notes.add({ id: "n1", content: "still works" });
    await pass(1_000);
    expect([opened.storage(), room.records("notes").length]).toEqual([{ mode: "memory", reason: "unavailable" }, 1]);
  });

  it("[trap 30] whose database cannot be opened, as in some private windows: the same", async () => {
    const { open, pass, platform } = createWorld();
    const refuse = () => {
      throw new DOMException("not here", "SecurityError");
    };
    const opened = open({ device: { indexedDB: { open: refuse } as unknown as IDBFactory } });
    await pass(1_000);
    expect([opened.storage(), opened.channel.status.getSnapshot().status]).toEqual([
      { mode: "memory", reason: "unavailable" },
      "joined",
    ]);
    expect(platform.errors).toHaveLength(1);
  });

  it("[trap 29] whose database does not open within 3 s, because another tab blocks it: memory, and the app works", async () => {
    const { indexedDB, open, pass } = createWorld();
    // Another version of the app has it open, newer and deaf.
    const other = indexedDB.open("chorale/app/ada", 1);
    await new Promise((resolve) => other.addEventListener("success", resolve));
    indexedDB.deleteDatabase("chorale/app/ada"); // waits for it, and what is opened waits for this
    const opened = open();
    await pass(2_000);
    expect(opened.storage()).toEqual({ mode: "opening" });
    await pass(2_000);
    expect(opened.storage()).toEqual({ mode: "memory", reason: "blocked" });
    expect(opened.channel.status.getSnapshot().status).toBe("joined");
  });

  it("[trap 29] whose database is upgraded by another tab: this one lets go, and goes on in memory", async () => {
    const { indexedDB, open, pass } = createWorld();
    const opened = open();
    await pass(1_000);
    const newer = indexedDB.open("chorale/app/ada", 2);
    const upgraded = new Promise((resolve) => newer.addEventListener("success", resolve));
    await pass(100);
    await upgraded;
    expect(opened.storage()).toEqual({ mode: "memory", reason: "blocked" });
    newer.result.close();
  });

  it("[trap 30] whose database closes under the app: it is opened again, and nothing is lost or doubled", async () => {
    const { browser, open, pass, room, isOffline, platform } = createWorld();
    const tab = browser.tab();
    const device = tampered(tab.device, (handle, count) => {
      if (count % 2 === 0) handle.close(); // what is begun on it then throws
    });
    const before = open({ device });
    await pass(100);
    isOffline(true);
    for (const id of ["n1", "n2", "n3"]) {
      before.notes.patch(id, { content: "gone" });
      before.notes.add({ id, content: id });
      await pass(100);
    }
    expect(before.storage()).toEqual({ mode: "device" });
    before.client.close();
    await pass(100);
    isOffline(false);
    const after = open();
    await pass(5_000);
    expect(after.contents()).toEqual(["n1", "n2", "n3"]);
    expect(room.appliedIds).toHaveLength(3);
    expect(platform.errors).toEqual([]);
  });

  it("[trap 32] that is full makes room by forgetting other channels, and keeps what is unsent", async () => {
    const { browser, open, pass, isOffline } = createWorld();
    const before = open();
    const other = before.client.channels.getChannel({ name: "another" });
    other.collection<{ content: string }>("notes").add({ id: "o1", content: "seen long ago" });
    await pass(1_000);
    before.client.close();
    await pass();

    let isFull = true;
    const { device } = browser.tab();
    const later = open({
      device: tampered(device, () => {
        if (!isFull) return;
        isFull = false;
        throw full();
      }),
    });
    await pass(1_000);
    isOffline(true);
    later.notes.add({ id: "n1", content: "unsent" });
    await pass(100);
    expect(later.storage()).toEqual({ mode: "device" });
    later.client.close();
    await pass();

    const last = open();
    await pass();
    expect(last.contents()).toEqual(["unsent"]);
    const gone = last.client.channels.getChannel({ name: "another" }).collection("notes");
    await pass(100);
    expect(gone.snapshot.getSnapshot().isLoading).toBe(true);
  });

  it("[trap 32] that stays full: memory, and writes are sent all the same", async () => {
    const { browser, open, pass, room, platform } = createWorld();
    const { device } = browser.tab();
    const opened = open({
      device: tampered(device, (_, count) => {
        if (count > 2) throw full();
      }),
    });
    await pass(100);
    opened.notes.add({ id: "n1", content: "one" });
    await pass(1_000);
    opened.notes.add({ id: "n2", content: "two" });
    await pass(1_000);
    expect([opened.storage(), opened.pending(), room.appliedIds.length]).toEqual([{ mode: "memory", reason: "full" }, 0, 2]);
    expect(platform.errors).toHaveLength(1);
  });

  it("keeps so many channels, and forgets the longest unused", async () => {
    const { open, pass, isOffline } = createWorld();
    for (const name of ["one", "two", "three"]) {
      const { client } = open();
      client.channels.getChannel({ name }).collection<{ content: string }>("notes").add({ id: "x", content: name });
      await pass(2_000);
      client.close();
      await pass();
    }
    const tidy = open({ maxChannels: 2 });
    await pass(1_000);
    tidy.client.close();
    await pass();
    isOffline(true);
    const { client } = open();
    const isKept = async (name: string) => {
      const { snapshot } = client.channels.getChannel({ name }).collection("notes");
      await pass();
      return !snapshot.getSnapshot().isLoading;
    };
    expect([await isKept("one"), await isKept("two"), await isKept("three")]).toEqual([false, false, true]);
  });

  it("leaves writes alone that another version of the app has kept, and says so", async () => {
    const { indexedDB, open, pass, isOffline, platform, sent } = createWorld();
    const before = open();
    await pass(100);
    isOffline(true);
    before.notes.add({ id: "n1", content: "of today" });
    await pass();
    before.client.close();
    await pass();
    const rows = async (act: (row: Record<string, unknown>, store: IDBObjectStore) => void) => {
      const request = indexedDB.open("chorale/app/ada", 1);
      await new Promise((resolve) => request.addEventListener("success", resolve));
      const store = request.result.transaction("outbox", "readwrite").objectStore("outbox");
      const all = store.getAll();
      await new Promise((resolve) => all.addEventListener("success", resolve));
      for (const row of all.result) act(row, store);
      request.result.close();
      return all.result.length;
    };
    await rows((row, store) => store.put({ ...row, v: 9 }));
    isOffline(false);
    const after = open();
    await pass(5_000);
    expect([after.contents(), sent(), after.pending()]).toEqual([[], [], 0]);
    expect(platform.errors).toMatchObject([{ code: "outbox_unreadable" }]);
    expect(await rows(() => {})).toBe(1);
  });
});

describe("[trap 31] A tab that dies at any of its transactions", () => {
  const transactions = Array.from({ length: 14 }, (_, i) => i + 1);
  it.each(transactions)(
    "the %i. one: the next tab has everything, once",
    async (n) => {
      const { open, pass, room, isOffline, platform } = createWorld();
      const before = open();
      before.tab.dieAt(n);
      const sent: string[] = [];
      const write = async (id: string) => {
        if (before.tab.isDead) return;
        before.notes.add({ id, content: id });
        before.notes.patch(id, { votes: { increment: 1 } });
        await pass(20);
        if (!before.tab.isDead) sent.push(id);
        await pass(300);
      };
      for (const id of ["n1", "n2", "n3"]) await write(id);
      isOffline(true);
      for (const id of ["n4", "n5"]) await write(id);
      isOffline(false);
      await pass(5_000);
      for (const id of ["n6", "n7"]) await write(id);
      before.tab.kill();

      isOffline(true);
      const offline = open();
      await pass();
      const votes = () => offline.snapshot().records.map((record) => [record.id, record.votes]);
      const isWhole = (kept: readonly (readonly unknown[])[]) => kept.every(([, count]) => count === undefined || count === 1);
      expect(isWhole(votes()), "[R6] nothing is shown twice").toBe(true);
      isOffline(false);
      await pass(60_000);
      expect(offline.pending()).toBe(0);
      for (const id of sent) expect(offline.contents(), `${id} was kept or sent`).toContain(id);
      expect(votes().filter(([id]) => sent.includes(String(id)))).toEqual(sent.map((id) => [id, 1]));
      for (const id of room.appliedIds) expect(room.timesApplied(id)).toBe(1);
      expect(platform.errors).toEqual([]);
    },
    30_000,
  );
});
