import { expect, it } from "vitest";
import { createMessageClient } from "../src/client";
import { isDown, setUp } from "./room";

it("a client without collections has messages and presence, resumes, and says where collections are", async () => {
  const { platform, server, room, config, client } = setUp();
  const ada = createMessageClient({ url: "http://fake", getToken: () => server.token("ada"), platform });
  const ben = client("ben");
  const channel = ada.channels.getChannel({ name: "room", presence: true });
  const heard: unknown[] = [];
  channel.on("chat", ({ payload }) => heard.push(payload));
  channel.presence.set({ name: "Ada" });
  const beside = ben.channels.getChannel({ name: "room" });
  const notes = beside.collection<{ content: string }>("notes");
  await platform.advance(10);

  const published = [channel.publish("chat", "mine"), beside.publish("chat", "theirs")];
  await platform.advance(10);
  expect(await Promise.all(published)).toMatchObject([{ offset: 1 }, { offset: 2 }]);
  expect(channel.presence.members.getSnapshot()).toMatchObject([{ isSelf: true, state: { name: "Ada" } }]);
  expect(() => channel.collection("notes")).toThrow(expect.objectContaining({ code: "no_collections", retryable: false }));

  // What others write in records moves the position, and is otherwise not its business.
  server.kill();
  room.broadcast("chat", "missed");
  notes.add({ content: "A record" });
  await platform.advance(2_000);
  expect(config().chorale).toMatchObject({ collections: expect.any(Array), resume: expect.any(Object) });
  expect(heard).toEqual(["theirs", "missed"]);
  expect(notes.snapshot.getSnapshot().records).toHaveLength(1);
  expect(ada.pendingCount.getSnapshot()).toBe(0);
  expect(ada.storage.getSnapshot()).toEqual({ mode: "memory", reason: "off" });
  expect(server.frames.some(isDown("presence_state"))).toBe(true);

  ada.close();
  ben.close();
  expect(platform.errors).toEqual([]);
});
