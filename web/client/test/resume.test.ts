import { describe, expect, it } from "vitest";
import { createRealtimeClient } from "../src/client";
import type { ResyncReason } from "../src/types";
import { inRoom, isDown } from "./room";

describe("resume", () => {
  it("[S1] names its position, and hears what it missed once and in order", async () => {
    const { room, server, platform, heard, payloads, config, resyncs, comeBack } = await inRoom();
    for (let n = 1; n <= 3; n++) room.broadcast("n", n);
    await platform.advance(10);
    server.kill();
    for (let n = 4; n <= 6; n++) room.broadcast("n", n);
    await comeBack();
    room.broadcast("n", 7);
    await platform.advance(10);
    expect(config().chorale.resume).toEqual({ epoch: "epoch-of-room", offset: 3, collections: [] });
    expect(payloads()).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(heard.map((message) => message.replayed)).toEqual([false, false, false, true, true, true, false]);
    expect(resyncs).toEqual([]);
  });

  it("[S3] a collection that is asked for late is loaded whole, and the others and the messages go on", async () => {
    const { client: ada, channel, room, server, platform, config, resyncs } = await inRoom();
    const notes = channel.collection<{ text: string }>("notes");
    await platform.advance(10);
    notes.add({ text: "first" });
    const ben = createRealtimeClient({ url: "http://fake", getToken: () => server.token("ben"), platform });
    const bens = ben.channels.getChannel({ name: "room" });
    bens.collection<{ text: string }>("tags").add({ text: "older than what Ada knows" });
    await platform.advance(10);
    room.broadcast("n", 1);
    await platform.advance(10);
    const tags = channel.collection<{ text: string }>("tags");
    await platform.advance(10);
    expect(config().chorale.resume?.collections).toEqual(["notes"]);
    expect(tags.snapshot.getSnapshot()).toMatchObject({ isLoading: false, records: [{ text: "older than what Ada knows" }] });
    expect(notes.snapshot.getSnapshot().records).toMatchObject([{ text: "first" }]);
    expect(resyncs).toEqual([]);
    ada.close();
    ben.close();
  });

  it("[R3] a catch-up that was cut short is begun again where it began, and repeats nothing", async () => {
    const { room, server, platform, payloads, config, comeBack } = await inRoom();
    room.broadcast("n", 1);
    await platform.advance(10);
    server.kill();
    for (let n = 2; n <= 4; n++) room.broadcast("n", n);
    let replays = 0;
    const stop = server.intercept((frame) => {
      if (isDown("synced")(frame)) return "drop";
      return isDown("broadcast")(frame) && ++replays > 2 ? "drop" : undefined;
    });
    await comeBack();
    expect(payloads()).toEqual([1, 2, 3]);
    stop();
    server.kill();
    await comeBack();
    expect(config().chorale.resume?.offset).toBe(1);
    expect(payloads()).toEqual([1, 2, 3, 4]);
  });

  it("[R3] records that changed meanwhile are shown, although a first catch-up brought later messages and not them", async () => {
    const { client: ada, channel, room, server, platform, payloads, comeBack } = await inRoom();
    const notes = channel.collection<{ text: string }>("notes");
    const ben = createRealtimeClient({ url: "http://fake", getToken: () => server.token("ben"), platform });
    const theirs = ben.channels.getChannel({ name: "room" }).collection<{ text: string }>("notes");
    await platform.advance(50);
    // What is told to the first socket from here on is lost with it.
    const deaf = server.intercept(({ direction, socket }) => (direction === "down" && socket === 1 ? "drop" : undefined));
    const { recordId } = theirs.add({ text: "made while away" });
    await platform.advance(10);
    room.broadcast("n", "later");
    server.kill();
    const cut = server.intercept((frame) => (isDown("records")(frame) || isDown("synced")(frame) ? "drop" : undefined));
    await comeBack();
    expect(payloads()).toEqual(["later"]);
    for (const stop of [deaf, cut]) stop();
    server.kill();
    await platform.advance(3_000);
    expect(notes.snapshot.getSnapshot().byId.get(recordId)?.text).toBe("made while away");
    expect(payloads()).toEqual(["later"]);
    ada.close();
    ben.close();
  });

  it.each<[ResyncReason, (world: Awaited<ReturnType<typeof inRoom>>) => void]>([
    ["epoch", ({ room }) => room.lose("another")],
    [
      "truncated",
      ({ room }) => {
        room.broadcast("n", "lost");
        room.truncate();
      },
    ],
  ])("[S2] says that messages were lost: %s", async (reason, lose) => {
    const world = await inRoom();
    const { channel, room, server, platform, payloads, resyncs, comeBack } = world;
    const told: ResyncReason[] = [];
    channel.use({ event: "n", handleMessage: () => {}, onResync: (why) => void told.push(why) });
    room.broadcast("n", 1);
    await platform.advance(10);
    server.kill();
    lose(world);
    await comeBack();
    room.broadcast("n", "after");
    await platform.advance(10);
    expect([resyncs, told, payloads()]).toEqual([[reason], [reason], [1, "after"]]);
  });

  it("[S3] [R6] goes on from the same position when a catch-up after lost messages is cut short, and says once that they were lost", async () => {
    const { room, server, platform, resyncs, config, comeBack } = await inRoom();
    room.broadcast("n", 1);
    await platform.advance(10);
    server.kill();
    room.broadcast("n", "lost");
    room.truncate();
    const stop = server.intercept((frame) => (isDown("synced")(frame) ? "drop" : undefined));
    await comeBack();
    stop();
    server.kill();
    await comeBack();
    expect(config().chorale.resume?.offset).toBe(1);
    expect(resyncs).toEqual(["truncated"]);
  });

  it("[S2] says so when the log was put back from a backup, and counts on from there", async () => {
    const { room, server, platform, payloads, resyncs, comeBack } = await inRoom();
    room.broadcast("n", 1);
    await platform.advance(10);
    const restore = server.backup();
    room.broadcast("n", 2);
    await platform.advance(10);
    server.kill();
    restore();
    await comeBack();
    room.broadcast("n", "2 again");
    await platform.advance(10);
    expect([resyncs, payloads()]).toEqual([["future"], [1, 2, "2 again"]]);
  });

  it("a restart of the server is a blip", async () => {
    const { client, channel, server, platform, status } = await inRoom();
    const shown: string[] = [];
    channel.status.subscribe(() => shown.push(status()));
    server.restart();
    await platform.advance(4_000);
    expect(shown).toEqual(["rejoining", "joined"]);
    expect(client.connection.getSnapshot().isConnected).toBe(true);
  });
});
