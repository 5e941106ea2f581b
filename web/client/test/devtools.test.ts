import { expect, it } from "vitest";
import { inspect } from "../src/devtools";
import { redact } from "../src/devtools/redact";
import type { RealtimeClient } from "../src/types";
import { inRoom } from "./room";

const seen = (client: RealtimeClient) => {
  const inspector = inspect(client);
  return { inspector, now: () => inspector.store.getSnapshot() };
};

it("what goes over the wire is seen without tokens, also when the inspector came late", async () => {
  const { client, channel, platform } = await inRoom();
  const { now } = seen(client);
  void channel.publish("chat", { text: "Hello", access_token: "s3cret", deep: [{ apikey: "s3cret" }] });
  await platform.advance(500);
  const chat = now().frames.find(({ payload }) => payload.includes("Hello"));
  expect(chat).toMatchObject({ direction: "up", topic: "realtime:room", event: "broadcast" });
  expect(JSON.stringify(now().frames)).not.toContain("s3cret");
  expect(now().frames.some(({ direction, event }) => direction === "down" && event === "phx_reply")).toBe(true);

  client.channels.getChannel({ name: "other" });
  await platform.advance(500);
  const join = now().frames.find(({ event }) => event === "phx_join");
  expect(join?.payload).toContain('"access_token":"[redacted]"');
});

it("a token is taken out wherever it stands, and a long payload is cut", () => {
  expect(redact({ text: "Bearer eyJhbGciOiJI.eyJzdWIiOiJh.c2lnbmF0dXJl" })).toBe('{"text":"Bearer [redacted]"}');
  expect(redact("x".repeat(100_000)).length).toBeLessThan(2_100);
  expect(redact(undefined)).toBe("");
});

it("[trap 28] frames, history and troubles are kept up to a bound", async () => {
  const { client, server, platform } = await inRoom();
  const { now } = seen(client);
  for (let n = 0; n < 700; n++) server.channel("room").broadcast("chat", { n });
  await platform.advance(1_000);
  expect(now().frames).toHaveLength(500);
  expect(now().frames.at(-1)?.payload).toContain("699");
});

it("channels are seen with position, members, records and unsettled writes", async () => {
  const { client, channel, server, platform } = await inRoom({ presence: true });
  const { now } = seen(client);
  channel.presence.set({ name: "Ada" });
  const tasks = channel.collection("tasks");
  await platform.advance(500);
  server.unreachable(true);
  server.kill();
  tasks.add({ id: "t1" });
  await platform.advance(500);
  const [room] = now().channels;
  expect(room).toMatchObject({
    name: "room",
    status: "rejoining",
    position: { offset: expect.any(Number), epoch: expect.any(String) },
    collections: [{ name: "tasks", records: 1 }],
    pendingCount: 1,
    unsettled: [{ collection: "tasks", recordId: "t1", pending: 1 }],
  });
  expect(now().pendingCount).toBe(1);
  server.unreachable(false);
  await platform.advance(30_000);
  expect(now().channels[0]).toMatchObject({ status: "joined", pendingCount: 0, members: [{ state: { name: "Ada" } }] });
});

it("offline breaks the connection and lets none be made, until it is given back; the history says so", async () => {
  const { client, channel, platform, status } = await inRoom();
  const { inspector, now } = seen(client);
  inspector.setOffline(true);
  const sent = channel.publish("chat", { text: "from the train" });
  await platform.advance(60_000);
  expect(client.connection.getSnapshot().status).toBe("offline");
  expect(now().isOffline).toBe(true);
  inspector.setOffline(false);
  await platform.advance(1_000);
  expect(client.connection.getSnapshot().status).toBe("connected");
  expect(status()).toBe("joined");
  expect(await sent).toMatchObject({ offset: expect.any(Number) });
  const told = now().history.map((change) => change.status);
  expect([told[0], told.includes("offline"), told.at(-1)]).toEqual(["connected", true, "connected"]);
  expect(now().history.find((change) => change.status === "offline")?.detail).toContain("offline by the devtools");
});

it("added latency holds up frames both ways, in their order, and is over when it is taken back", async () => {
  const { client, channel, platform, payloads } = await inRoom({ self: true });
  const { inspector, now } = seen(client);
  const ends: string[] = [];
  const publish = (n: number) => channel.publish("count", n).then(() => ends.push(`sent ${n}`));
  inspector.setLatency(300);
  expect(now().addedLatencyMs).toBe(300);
  void publish(1);
  await platform.advance(590);
  expect([ends, payloads()]).toEqual([[], []]);
  await platform.advance(60);
  expect([ends, payloads()]).toEqual([["sent 1"], [1]]);

  for (const n of [2, 3, 4]) {
    void publish(n);
    inspector.setLatency(300 - 100 * (n - 1)); // each could overtake the one before
  }
  await platform.advance(700);
  expect(payloads()).toEqual([1, 2, 3, 4]);
  void publish(5);
  await platform.advance(10);
  expect(payloads()).toEqual([1, 2, 3, 4, 5]);
});

it("troubles are told in words, and clear forgets them", async () => {
  const { client, channel, server, platform } = await inRoom();
  const { inspector, now } = seen(client);
  const tasks = channel.collection("tasks");
  await platform.advance(500);
  server.rejectNext({ code: "schema_violation", message: "title is too long" });
  tasks.add({ id: "t1" });
  await platform.advance(500);
  expect(now().troubles).toMatchObject([
    { kind: "refused", channel: "room", text: "put of tasks/t1: schema_violation: title is too long" },
  ]);
  expect(now().channels[0]?.unsettled).toMatchObject([{ recordId: "t1", failed: "schema_violation: title is too long" }]);
  inspector.clear();
  expect([now().frames, now().history, now().troubles]).toEqual([[], [], []]);
});

it("a client is as it was when the inspector has gone", async () => {
  const { client, channel, platform } = await inRoom();
  const before = { ...client.debug?.platform };
  const { inspector } = seen(client);
  inspector.setOffline(true);
  await platform.advance(1_000);
  inspector.detach();
  inspector.detach();
  expect({ ...client.debug?.platform }).toEqual(before);
  await platform.advance(1_000);
  const sent = channel.publish("chat", {});
  await platform.advance(100);
  expect(await sent).toMatchObject({ offset: expect.any(Number) });
});
