import { describe, expect, it } from "vitest";
import { createRealtimeClient } from "../src/client";
import { byHand, follow, inRoom, isDown } from "./room";

describe("publish", () => {
  it("[R1] everybody hears the same messages in the same order", async () => {
    const { platform, channel, client: ada, server, payloads } = await inRoom({ self: true });
    const ben = createRealtimeClient({ url: "http://fake", getToken: () => server.token("ben"), platform });
    const theirs = ben.channels.getChannel({ name: "room", self: true });
    const heard: unknown[] = [];
    theirs.on("n", (message) => heard.push(message.payload));
    await platform.advance(10);
    for (let n = 0; n < 20; n++) void (n % 3 ? channel : theirs).publish("n", n);
    await platform.advance(50);
    expect(new Set(heard).size).toBe(20);
    expect(heard).toEqual(payloads());
    ada.close();
    ben.close();
  });

  it("[B3] publish resolves with the place in the log", async () => {
    const { channel, platform } = await inRoom();
    const published = channel.publish("n", 1, { id: "mine" });
    await platform.advance(10);
    expect(await published).toEqual({ id: "mine", offset: 1 });
  });

  it("own messages are not heard, unless a claim wants them", async () => {
    const { client, channel, platform, payloads } = await inRoom();
    void channel.publish("n", 1);
    void channel.publish("cursor", 2, { ephemeral: true });
    await platform.advance(10);
    expect(payloads()).toEqual([]);
    client.channels.getChannel({ name: "room", self: true });
    void channel.publish("n", 3);
    await platform.advance(10);
    expect(payloads()).toEqual([3]);
  });

  it("[B2] a message whose acknowledgement was lost is sent again under its id, and logged once", async () => {
    const { channel, platform, server, room, up, comeBack } = await inRoom();
    const stop = server.intercept((frame) =>
      isDown("phx_reply")(frame) && frame.topic === "realtime:room" ? "drop" : undefined,
    );
    const published = channel.publish("n", 1);
    await platform.advance(10);
    stop();
    server.kill();
    await comeBack();
    const sent = up("broadcast").map((frame) => frame.payload);
    expect(sent.length).toBe(2);
    expect(sent[1]).toEqual(sent[0]);
    expect(room.position.offset).toBe(1);
    expect(await published).toMatchObject({ offset: 1 });
  });

  it("[R1] what is published while away waits, and goes out once and in order", async () => {
    const { channel, platform, server, up } = await inRoom();
    server.unreachable(true);
    server.kill();
    await platform.advance(10);
    const all = Array.from({ length: 100 }, (_, n) => channel.publish("n", n));
    await platform.advance(5_000);
    expect(up("broadcast")).toEqual([]);
    server.unreachable(false);
    await platform.advance(30_000);
    const offsets = (await Promise.all(all)).map(({ offset }) => offset);
    expect(offsets).toEqual(Array.from({ length: 100 }, (_, n) => n + 1));
    expect(up("broadcast").length).toBe(100);
  });

  it("without ack it resolves when it was handed to the socket, and not before", async () => {
    const { channel, platform, server, comeBack } = await inRoom({ ack: false });
    expect(await channel.publish("n", 1, { id: "a" })).toEqual({ id: "a" });
    server.kill();
    await platform.advance(0);
    let isDone = false;
    void channel.publish("n", 2).then(() => {
      isDone = true;
    });
    await platform.advance(0);
    expect(isDone).toBe(false);
    await comeBack();
    expect(isDone).toBe(true);
  });

  it("[B4] ephemeral messages are never queued", async () => {
    const { channel, platform, server, up, comeBack } = await inRoom();
    server.kill();
    await platform.advance(0);
    for (let n = 0; n < 10; n++) await channel.publish("cursor", n, { ephemeral: true });
    await comeBack();
    expect(up("broadcast")).toEqual([]);
    await channel.publish("cursor", 11, { ephemeral: true });
    await platform.advance(0);
    expect(up("broadcast").length).toBe(1);
  });

  it("[R7] [trap 28] the queue has an end, and what it refuses says so", async () => {
    const { channel, platform, server } = await inRoom();
    server.unreachable(true);
    server.kill();
    await platform.advance(0);
    const results = follow(Array.from({ length: 1_100 }, (_, n) => channel.publish("n", n)));
    await platform.advance(10);
    expect(results.filter((result) => result === "queue_full").length).toBe(100);
  });

  it("[F5] a message that no frame holds is refused before it costs the connection", async () => {
    const { channel, platform, up } = await inRoom();
    const ends = follow([channel.publish("n", "x".repeat(5_000_000)), channel.publish("n", "x".repeat(2_000_000))]);
    await platform.advance(10);
    expect([ends, up("broadcast").length]).toEqual([["payload_size_exceeded", "ok"], 1]);
  });

  it("what JSON cannot say rejects the publish and nothing else", async () => {
    const { channel, platform } = await inRoom();
    const circle: { self?: unknown } = {};
    circle.self = circle;
    const ends = follow([channel.publish("n", circle as never), channel.publish("n", 1)]);
    await platform.advance(10);
    expect(ends).toEqual(["TypeError", "ok"]);
  });

  it("a message that the server refuses rejects; one that it refuses for now is sent again, and those behind it follow", async () => {
    const { client, wire, platform } = await byHand();
    const channel = client.channels.getChannel({ name: "room" });
    const done: string[] = [];
    for (const n of ["a", "b", "c"])
      channel.publish("n", n, { id: n }).then(
        () => done.push(n),
        (error) => done.push(`${n} ${error.code}`),
      );
    await platform.advance(0);
    const [a, b, c] = wire.pushes("broadcast");
    wire.reply(a, {
      status: "error",
      response: { reason: "Overloaded: busy", code: "overloaded", retryable: true, retryAfterMs: 300 },
    });
    wire.reply(b, { status: "error", response: { reason: "InvalidPayload: no", code: "invalid_payload" } });
    wire.reply(c, { status: "ok", response: { id: "c", offset: 3 } });
    await platform.advance(299);
    expect(done).toEqual(["b invalid_payload", "c"]);
    await platform.advance(1);
    expect(wire.pushes("broadcast").length).toBe(4);
    wire.reply(wire.pushes("broadcast")[3], { status: "ok", response: { id: "a", offset: 4 } });
    await platform.advance(0);
    expect(done).toEqual(["b invalid_payload", "c", "a"]);
  });

  it("a push that crosses the end of its channel is not lost: the server knows nothing of it, and it is sent after the next join", async () => {
    const { client, wire, platform, joined } = await byHand();
    const channel = client.channels.getChannel({ name: "room" });
    const published = channel.publish("n", 1);
    await platform.advance(0);
    wire.reply(wire.pushes("broadcast")[0], {
      status: "error",
      response: { reason: "unmatched topic", code: "unmatched_topic" },
    });
    await platform.advance(1_000);
    joined();
    await platform.advance(0);
    wire.reply(wire.pushes("broadcast")[1], { status: "ok", response: { offset: 7 } });
    expect(await published).toMatchObject({ offset: 7 });
  });
});
