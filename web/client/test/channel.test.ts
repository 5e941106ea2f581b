import { describe, expect, it } from "vitest";
import { createRealtimeClient } from "../src/client";
import { createFakePlatform, createFakeServer } from "../src/testing";
import { byHand, configOf, follow, inRoom, setUp } from "./room";

describe("joins", () => {
  it("[J4] a refused channel says why, rejects what waits, and asks again half a minute later; others are not touched", async () => {
    const { client, channel, platform, server, joins, status } = await inRoom();
    const other = client.channels.getChannel({ name: "other" });
    await platform.advance(10);
    server.kill();
    await platform.advance(0);
    const waiting = follow([channel.publish("n", 1)]);
    server.denyJoins({ code: "unauthorized", message: "no rule allows this", retryable: false });
    await platform.advance(1_000);
    expect(status()).toBe("refused");
    expect(channel.status.getSnapshot().error).toMatchObject({ code: "unauthorized", retryable: false });
    const late = follow([channel.publish("n", 2)]);
    await platform.advance(0);
    expect([waiting, late]).toEqual([["unauthorized"], ["unauthorized"]]);
    server.denyJoins();
    const before = joins();
    await platform.advance(29_000);
    expect(joins()).toBe(before);
    await platform.advance(1_500);
    expect([status(), other.status.getSnapshot().status]).toEqual(["joined", "joined"]);
  });

  it("[J4] a join that is refused for now is made again after the time that the server names", async () => {
    const { platform, server, client, joins } = setUp();
    server.denyJoins({ code: "channel_rate_limit_reached", message: "too many", retryable: true, retryAfterMs: 5_000 });
    const channel = client("ada").channels.getChannel({ name: "room" });
    await platform.advance(4_990);
    server.denyJoins();
    expect([joins(), channel.status.getSnapshot().error?.code]).toEqual([1, "channel_rate_limit_reached"]);
    await platform.advance(100);
    expect(channel.status.getSnapshot()).toEqual({ status: "joined", isSynced: true });
  });

  it("a join that is not answered within 10 s is made again", async () => {
    const { platform, server, client, joins } = setUp();
    const stop = server.intercept((frame) => (frame.event === "phx_join" ? "drop" : undefined));
    const channel = client("ada").channels.getChannel({ name: "room" });
    await platform.advance(10_010);
    expect(channel.status.getSnapshot().error?.code).toBe("join_timeout");
    stop();
    await platform.advance(1_000);
    expect([joins(), channel.status.getSnapshot().status]).toEqual([2, "joined"]);
  });

  it("a channel whose token expired joins again with a new one", async () => {
    const platform = createFakePlatform();
    const server = createFakeServer({ platform });
    let lifeMs = 5_000;
    let asked = 0;
    const getToken = () => {
      asked++;
      return server.token("ada", { ttlMs: lifeMs });
    };
    const client = createRealtimeClient({ url: "http://fake", getToken, platform });
    const channel = client.channels.getChannel({ name: "room" });
    await platform.advance(10);
    // Refreshes do not arrive: the server ends the channel, as after a sleep.
    const stop = server.intercept((frame) => (frame.event === "access_token" ? "drop" : undefined));
    lifeMs = 3_600_000;
    await platform.advance(5_000);
    stop();
    await platform.advance(2_000);
    expect([channel.status.getSnapshot().status, server.channel("room").memberCount]).toEqual(["joined", 1]);
    expect(asked).toBeGreaterThan(1);
    expect(asked).toBeLessThan(6);
  });

  it("a refreshed token reaches the channels that are joined", async () => {
    const platform = createFakePlatform();
    const server = createFakeServer({ platform });
    const client = createRealtimeClient({
      url: "http://fake",
      getToken: () => server.token("ada", { ttlMs: 60_000 }),
      platform,
    });
    const channel = client.channels.getChannel({ name: "room" });
    const seen: string[] = [];
    channel.status.subscribe(() => seen.push(channel.status.getSnapshot().status));
    await platform.advance(300_000);
    expect(seen).toEqual(["joining", "joined"]);
    expect(server.frames.filter((frame) => frame.event === "access_token").length).toBeGreaterThan(4);
  });

  it("phx_error joins again, and so does phx_close; those of a join that is gone do nothing", async () => {
    const { client, wire, platform, joined } = await byHand();
    const channel = client.channels.getChannel({ name: "room" });
    const status = () => channel.status.getSnapshot().status;
    for (const event of ["phx_error", "phx_close"]) {
      const ref = wire.pushes("phx_join").at(-1)?.[0];
      wire.say(JSON.stringify([ref, ref, "realtime:room", event, {}]));
      expect(status()).toBe("rejoining");
      await platform.advance(1_000);
      expect(wire.pushes("phx_join").at(-1)?.[0]).not.toBe(ref);
      joined();
      wire.say(JSON.stringify([ref, ref, "realtime:room", event, {}]));
      expect(status()).toBe("joined");
    }
  });

  it("a frame that a channel cannot understand is an error event, and the channel goes on", async () => {
    const { client, wire, platform } = await byHand();
    const channel = client.channels.getChannel({ name: "room" });
    const errors: string[] = [];
    const heard: unknown[] = [];
    client.on("error", (error) => errors.push(error.code));
    channel.on("*", (message) => heard.push(message.payload));
    wire.say('[null,null,"realtime:room","broadcast",{"event":7}]');
    wire.say('[null,null,"realtime:room","presence_diff",{"joins":{"a":7}}]');
    wire.say('[null,null,"realtime:room","nobody knows this",7]');
    wire.say('[null,null,"realtime:other","broadcast",{"event":"n","payload":1,"meta":{"offset":1}}]');
    wire.say('[null,null,"realtime:room","broadcast",{"event":"n","payload":2,"meta":{"offset":1}}]');
    expect([errors, heard, channel.status.getSnapshot().status]).toEqual([["protocol_error", "protocol_error"], [2], "joined"]);
    await platform.advance(0);
  });

  it("what presence is refused is an error event; refused for now, it is said again", async () => {
    const { client, wire, platform, joined } = await byHand();
    const errors: string[] = [];
    client.on("error", (error) => errors.push(error.code));
    client.channels.getChannel({ name: "room", presence: true }).presence.set({ name: "Ada" });
    await platform.advance(0);
    joined();
    const busy = { reason: "Overloaded: busy", code: "overloaded", retryable: true, retryAfterMs: 400 };
    wire.reply(wire.pushes("presence").at(-1), { status: "error", response: busy });
    const count = wire.pushes("presence").length;
    await platform.advance(399);
    expect([errors, wire.pushes("presence").length]).toEqual([["overloaded"], count]);
    await platform.advance(1);
    expect(wire.pushes("presence").length).toBe(count + 1);
    const no = { reason: "Forbidden: no", code: "forbidden" };
    wire.reply(wire.pushes("presence").at(-1), { status: "error", response: no });
    await platform.advance(10_000);
    expect([errors, wire.pushes("presence").length]).toEqual([["overloaded", "forbidden"], count + 1]);
  });

  it("[M1] a client that the server has forgotten joins again under a new id", async () => {
    const { channel, room, platform, up, server } = await inRoom();
    const notes = channel.collection<{ text: string }>("notes");
    await platform.advance(10);
    const first = notes.add({ text: "one" });
    await platform.advance(10);
    room.forgetClients();
    const second = notes.add({ text: "two" });
    await platform.advance(2_000);
    expect([(await first.settled).status, (await second.settled).status]).toEqual(["applied", "applied"]);
    const ids = new Set(up("phx_join").map((join) => configOf(join).chorale.client));
    expect(ids.size).toBe(2);
    expect(room.timesApplied(second.id)).toBe(1);
    expect(server.sockets).toBe(1);
  });
});

describe("client", () => {
  it("does nothing until it is needed, so that it may be made anywhere", async () => {
    const { platform, client, server } = setUp();
    const made = client("ada");
    await platform.advance(60_000);
    expect([server.frames.length, platform.timers, made.connection.getSnapshot().status]).toEqual([0, 0, "idle"]);
    const release = made.retain();
    await platform.advance(10);
    expect(made.connection.getSnapshot().status).toBe("connected");
    release();
    expect(made.connection.getSnapshot().status).toBe("idle");
  });

  it("close ends everything, settles what waits, and is idempotent", async () => {
    const { client, channel, platform, server, status } = await inRoom();
    const notes = channel.collection<{ text: string }>("notes");
    await platform.advance(10);
    server.unreachable(true);
    server.kill();
    await platform.advance(0);
    const write = notes.add({ text: "waits" });
    const waiting = follow([channel.publish("n", 1)]);
    expect(client.pendingCount.getSnapshot()).toBe(1);
    client.close();
    client.close();
    expect(await write.settled).toEqual({ status: "unknown" });
    await platform.advance(60_000);
    expect(waiting).toEqual(["client_closed"]);
    expect([status(), client.connection.getSnapshot().status, platform.timers, server.sockets]).toEqual([
      "closed",
      "closed",
      0,
      0,
    ]);
    expect(() => client.channels.getChannel({ name: "room" })).toThrow("the client was closed");
    await expect(channel.publish("n", 2)).rejects.toMatchObject({ code: "client_closed" });
    expect(platform.errors).toEqual([]);
  });

  it("[R2] writes that have not settled keep a channel that nobody claims", async () => {
    const { client, channel, platform, server, room } = await inRoom();
    const notes = channel.collection<{ text: string }>("notes");
    await platform.advance(10);
    server.unreachable(true);
    server.kill();
    const write = notes.add({ text: "left quickly" });
    channel.release();
    await platform.advance(60_000);
    expect(client.pendingCount.getSnapshot()).toBe(1);
    server.unreachable(false);
    await platform.advance(60_000);
    expect([(await write.settled).status, client.pendingCount.getSnapshot(), room.memberCount]).toEqual(["applied", 0, 0]);
  });
});
