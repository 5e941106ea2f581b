import { expect, it } from "vitest";
import { defineCollection, defineEvent } from "../src/schema";
import type { Message } from "../src/types";
import { inRoom } from "./room";

/** The least that speaks Standard Schema: tests of @chorale/react use zod and valibot. */
function schemaOf<T>(
  validate: (value: unknown) => { value: T } | { issues: readonly { message: string; path?: PropertyKey[] }[] },
) {
  return {
    "~standard": { version: 1 as const, vendor: "test", validate, types: undefined as unknown as { input: T; output: T } },
  };
}

interface Task {
  title: string;
}
let checks = 0;
const tasks = defineCollection(
  "tasks",
  schemaOf<Task>((value) => {
    checks++;
    const { title } = value as { title?: unknown };
    return typeof title === "string" ? { value: { title } } : { issues: [{ message: "no text", path: ["title"] }] };
  }),
);
const chat = defineEvent(
  "chat",
  schemaOf<{ text: string }>((value) => {
    const { text } = value as { text?: unknown };
    return typeof text === "string" ? { value: { text } } : { issues: [{ message: "no text", path: ["text"] }] };
  }),
);

it("a collection shows records that fit, and says of the others what is wrong; each is checked once", async () => {
  const { channel, platform } = await inRoom();
  const { snapshot, ...collection } = tasks.in(channel);
  const free = channel.collection<{ title: unknown }>("tasks");
  collection.add({ id: "a", title: "Ship it" });
  free.add({ id: "b", title: 7 });
  await platform.advance(1_000);
  const shown = snapshot.getSnapshot();
  expect(shown.records).toMatchObject([{ id: "a", title: "Ship it", createdBy: "ada" }]);
  expect(shown.invalid.get("b")).toMatchObject({
    record: { id: "b", title: 7 },
    issues: [{ path: "title", message: "no text" }],
  });

  const before = checks;
  free.add({ id: "c", title: "Another" });
  expect(snapshot.getSnapshot().records.map(({ id }) => id)).toEqual(["a", "c"]);
  expect(snapshot.getSnapshot().records[0]).toBe(shown.records[0]);
  expect(snapshot.getSnapshot().invalid).toBe(shown.invalid);
  expect(checks).toBe(before + 1);
  expect(snapshot.getSnapshot()).toBe(snapshot.getSnapshot());

  free.patch("b", { title: "Now it fits" });
  expect(snapshot.getSnapshot().invalid.size).toBe(0);
  expect(platform.errors).toEqual([]);
});

it("an event hands on payloads that fit, and the others to whoever asks for them", async () => {
  const { channel, server, platform } = await inRoom();
  const heard: Message<{ text: string }>[] = [];
  const refused: string[] = [];
  chat.on(
    channel,
    (message) => heard.push(message),
    ({ code, message }) => refused.push(`${code}: ${message}`),
  );
  chat.on(channel, (message) => heard.push(message));
  server.channel("room").broadcast("chat", { text: "Hello" });
  server.channel("room").broadcast("chat", { text: 7 });
  await platform.advance(10);
  expect(heard.map(({ payload }) => payload)).toEqual([{ text: "Hello" }, { text: "Hello" }]);
  expect(refused).toEqual(["invalid_message: chat: text: no text"]);
  expect(platform.errors).toEqual([]);
  const sent = chat.publish(channel, { text: "Hi" });
  await platform.advance(10);
  expect(await sent).toMatchObject({ id: expect.any(String) });
});

it("a schema that answers by a promise is refused in words", () => {
  const later = defineEvent("later", {
    "~standard": { version: 1 as const, vendor: "test", validate: async (value: unknown) => ({ value }) },
  });
  expect(() => later.parse({})).toThrow(expect.objectContaining({ code: "schema_async" }));
});
