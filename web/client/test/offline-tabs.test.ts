/** Several tabs, one of which leads. */
import { describe, expect, it } from "vitest";
import { createWorld, type Opened } from "./offline-world";

describe("[trap 33] Several tabs", () => {
  it("write offline, each for itself, and all is there once when they are back", async () => {
    const { open, pass, isOffline, room } = createWorld();
    const tabs = [open(), open(), open()];
    await pass(100);
    isOffline(true);
    for (const [i, { notes }] of tabs.entries()) notes.add({ id: `n${i}`, content: `of tab ${i}` });
    await pass();
    isOffline(false);
    await pass(60_000);
    for (const tab of tabs) expect(tab.contents()).toEqual(["of tab 0", "of tab 1", "of tab 2"]);
    expect(room.appliedIds).toHaveLength(3);
  });

  it("send what one of them left behind that crashed: within a second, also from a channel that no other has open", async () => {
    const { open, pass, isOffline, room, server } = createWorld();
    const [leader, other] = [open(), open()];
    await pass(100);
    isOffline(true);
    other.notes.add({ id: "n1", content: "here" });
    other.client.channels
      .getChannel({ name: "elsewhere" })
      .collection<{ content: string }>("notes")
      .add({ id: "n2", content: "there" });
    await pass();
    isOffline(false);
    await pass(0);
    leader.client.reconnect();
    other.tab.kill();
    await pass(1_000);
    expect([room.records("notes").length, server.channel("elsewhere").records("notes").length]).toEqual([1, 1]);
    expect(leader.contents()).toEqual(["here"]);
    await pass(10_000);
    expect(leader.client.channels.list()).toEqual([leader.channel.name]);
  });

  it("have another leader at once when theirs is gone", async () => {
    const { open, pass, isOffline, room } = createWorld();
    const [leader, heir] = [open(), open()];
    await pass(100);
    isOffline(true);
    leader.notes.add({ id: "n1", content: "the leader's last" });
    await pass();
    isOffline(false);
    await pass(0);
    heir.client.reconnect();
    leader.tab.kill();
    await pass(1_000);
    expect([room.records("notes").length, heir.contents()]).toEqual([1, ["the leader's last"]]);
  });

  it("take the lead from one who is frozen, and do no harm when it wakes", async () => {
    const { open, pass, isOffline, room } = createWorld();
    const [leader, heir, third] = [open(), open(), open()];
    await pass(100);
    isOffline(true);
    third.notes.add({ id: "n1", content: "left behind" });
    leader.notes.add({ id: "n2", content: "frozen" });
    await pass();
    leader.tab.freeze(true);
    third.tab.kill();
    isOffline(false);
    await pass(25_000);
    expect(heir.contents()).toEqual(["left behind"]); // a tab that lives sends its own
    leader.tab.freeze(false);
    await pass(60_000);
    expect([heir.contents(), leader.pending()]).toEqual([["left behind", "frozen"], 0]);
    expect(room.appliedIds).toHaveLength(2);
  });

  it("[R4] without Web Locks send what they find, even of each other, and it takes effect once", async () => {
    const { open, pass, isOffline, room } = createWorld();
    const one = open({ hasLocks: false });
    await pass(100);
    isOffline(true);
    one.notes.add({ id: "n1", content: "one" });
    one.notes.patch("n1", { votes: { increment: 1 } });
    await pass();
    const other = open({ hasLocks: false }); // takes the writes of the first, which lives
    await pass();
    expect(other.pending()).toBe(2);
    one.notes.patch("n1", { votes: { increment: 1 } });
    await pass();
    isOffline(false);
    await pass(60_000);
    const votes = ({ snapshot }: Opened) => snapshot().byId.get("n1")?.votes;
    expect([votes(one), votes(other), one.pending(), other.pending()]).toEqual([2, 2, 0, 0]);
    expect(room.appliedIds).toHaveLength(3);
  });

  it("[trap 31] write one cache, and the position in it never runs ahead of the records", async () => {
    const { open, pass, isOffline, server } = createWorld();
    const [fast, slow] = [open(), open()];
    const writer = open({ hasLocks: false });
    await pass(100);
    // The slow tab hears everything a little later, so that it writes older positions after newer ones.
    server.intercept(({ direction, event, socket }) =>
      direction === "down" && event === "change" && socket === 2 ? { delayMs: 260 } : undefined,
    );
    for (let i = 0; i < 12; i++) {
      writer.notes.add({ id: `n${10 + i}`, content: `${i}` });
      writer.notes.patch(`n${10 + (i % 3)}`, { content: `again ${i}` });
      await pass(100);
    }
    fast.tab.kill();
    slow.tab.kill();
    await pass(1_000);
    writer.tab.kill();
    isOffline(true);
    const after = open();
    await pass();
    isOffline(false);
    await pass(60_000);
    const truth = server
      .channel(after.channel.name)
      .records("notes")
      .map(({ fields }) => fields.content);
    expect(after.contents()).toEqual(truth);
    expect(after.contents()).toHaveLength(12);
  });
});
