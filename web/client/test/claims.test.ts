import { describe, expect, it } from "vitest";
import { inRoom, setUp } from "./room";

describe("claims", () => {
  it("a hundred claims that come and go are one join and no leave", async () => {
    const { client, platform, joins, up, room, channel } = await inRoom();
    for (let i = 0; i < 100; i++) {
      client.channels.getChannel({ name: "room" }).release();
      if (i % 10 === 0) channel.release();
      await platform.advance(5);
    }
    expect([joins(), up("phx_leave").length, room.memberCount]).toEqual([1, 0, 1]);
  });

  it("a channel is left one second after its last claim, and the connection ends with it", async () => {
    const { client, channel, platform, server, room, status } = await inRoom();
    const second = client.channels.getChannel({ name: "room" });
    channel.release();
    channel.release();
    await platform.advance(5_000);
    expect(room.memberCount).toBe(1);
    second.release();
    await platform.advance(999);
    expect([room.memberCount, client.channels.list()]).toEqual([1, ["room"]]);
    await platform.advance(2);
    expect([room.memberCount, client.channels.list(), server.sockets, status()]).toEqual([0, [], 0, "closed"]);
    expect(platform.timers).toBe(0);
  });

  it("a channel that is released while its join is on the way is left as well", async () => {
    const { platform, server, client, room } = setUp();
    const world = client("ada", { releaseMs: 0 });
    const keep = world.retain();
    await platform.advance(10);
    server.pause();
    const channel = world.channels.getChannel({ name: "room" });
    await platform.advance(10);
    channel.release();
    await platform.advance(10);
    server.resume();
    await platform.advance(10);
    expect([room.memberCount, server.sockets]).toEqual([0, 1]);
    keep();
  });

  it("wishes add up: presence is asked for when one claim wants it, and stays without another join", async () => {
    const { client, platform, joins, config } = await inRoom();
    expect(config().presence.enabled).toBe(false);
    const second = client.channels.getChannel({ name: "room", presence: true });
    await platform.advance(10);
    expect([joins(), config().presence.enabled]).toEqual([2, true]);
    second.release();
    await platform.advance(10);
    client.channels.getChannel({ name: "room", presence: true });
    await platform.advance(10);
    expect(joins()).toBe(2);
  });

  it("wishes of one moment are one join", async () => {
    const { client, platform, joins, config } = await inRoom();
    const channel = client.channels.getChannel({ name: "room", presence: true });
    channel.collection("notes");
    channel.collection("projects");
    channel.presence.set({ name: "Ada" });
    await platform.advance(10);
    expect([joins(), config().chorale.collections]).toEqual([2, ["notes", "projects"]]);
  });

  it("saying something of oneself asks for presence", async () => {
    const { channel, platform, config } = await inRoom();
    channel.presence.set({ name: "Ada" });
    await platform.advance(200);
    expect(config().presence.enabled).toBe(true);
    expect(channel.presence.members.getSnapshot()).toMatchObject([{ state: { name: "Ada" }, isSelf: true }]);
  });

  it("what was said of oneself ends with the last claim that said something, though others hold the channel", async () => {
    const { channel, client, platform, room } = await inRoom();
    const names = () => channel.presence.members.getSnapshot().map(({ state }) => state.name);
    const [first, second] = [1, 2].map(() => client.channels.getChannel({ name: "room", presence: true }));
    first?.presence.set({ name: "Ada" });
    second?.presence.update({ at: 1 });
    await platform.advance(500);
    expect(names()).toEqual(["Ada"]);
    first?.release();
    await platform.advance(5_000);
    expect(names()).toEqual(["Ada"]);
    second?.release();
    second?.presence.set({ name: "too late" });
    await platform.advance(500);
    expect([names(), room.memberCount]).toEqual([[], 1]);
  });

  it("public and private claims of one name would end each other, and are refused", async () => {
    const { client } = await inRoom();
    expect(() => client.channels.getChannel({ name: "room", private: false })).toThrow("claimed as private");
  });

  it.each(["", "a\0b", "x".repeat(247), "ä".repeat(124)])("a name that cannot be a topic is refused: %j", (name) => {
    const { client } = setUp();
    expect(() => client("ada").channels.getChannel({ name })).toThrow("1 to 246 bytes");
  });

  it("listeners end with their claim, and a listener that throws stops nobody", async () => {
    const { client, channel, platform, room, payloads } = await inRoom();
    const second = client.channels.getChannel({ name: "room" });
    let told = 0;
    second.on("n", () => {
      told++;
      throw new Error("a listener fails");
    });
    room.broadcast("n", 1);
    await platform.advance(10);
    second.release();
    second.on("n", () => told++);
    room.broadcast("n", 2);
    await platform.advance(10);
    expect([told, payloads(), platform.errors.length]).toEqual([1, [1, 2], 1]);
    channel.release();
  });
});
