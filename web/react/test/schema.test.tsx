import type { Message } from "@chorale/client";
import { defineCollection, defineEvent } from "@chorale/client/schema";
import { act, render, renderHook } from "@testing-library/react";
import { expect, test } from "vitest";
import { z } from "zod";
import { useBroadcast, useCollection, useRecord, useRecords } from "../src/index.ts";
import { collectionOf, FakeClient, record } from "./fake-client.ts";
import { within } from "./within.tsx";

const tasks = defineCollection("tasks", z.object({ title: z.string(), done: z.boolean().default(false) }));
const chat = defineEvent("chat", z.object({ text: z.string() }));

const good = record("1", { title: "Ship it" });
const bad = record("2", { title: 7 });

test("records that fit are shown as the schema makes them; the others are told apart, with what is wrong", () => {
  const client = new FakeClient();
  const list = client.channel("list").collection("tasks");
  list.set(collectionOf<object>([good, bad]));
  const { result } = renderHook(() => useCollection("list", tasks), { wrapper: within(client) });
  expect(result.current.records).toMatchObject([{ id: "1", title: "Ship it", done: false, createdBy: "ada" }]);
  expect([...result.current.invalid.keys()]).toEqual(["2"]);
  expect(result.current.invalid.get("2")).toMatchObject({ record: { title: 7 }, issues: [{ path: "title" }] });

  act(() => list.set(collectionOf([good, record("2", { title: "Now it does" })])));
  expect(result.current.records.map(({ title }) => title)).toEqual(["Ship it", "Now it does"]);
  expect(result.current.invalid.size).toBe(0);
  act(() => void result.current.add({ title: "Written" }));
  expect(result.current.records.map(({ title }) => title)).toEqual(["Ship it", "Now it does", "Written"]);
});

test("[trap 36] a checked record renders its row only when it changes", () => {
  const client = new FakeClient();
  const list = client.channel("list").collection("tasks");
  const other = record("3", { title: "Other" });
  list.set(collectionOf([good, other]));
  const rendered: string[] = [];
  function Row({ id }: { id: string }) {
    rendered.push(`${id}: ${useRecord("list", tasks, id)?.title}`);
    return null;
  }
  render([<Row key="1" id="1" />, <Row key="3" id="3" />], { wrapper: within(client) });
  rendered.length = 0;
  act(() => list.set(collectionOf([good, record("3", { title: "Edited" })])));
  expect(rendered).toEqual(["3: Edited"]);
});

test("[trap 36] a selection of records renders when what was selected changes, and not for the rest", () => {
  const client = new FakeClient();
  const list = client.channel("list").collection("tasks");
  const done = record("3", { title: "Done", done: true });
  list.set(collectionOf([good, done]));
  let renders = 0;
  const { result } = renderHook(
    () => {
      renders++;
      return useRecords("list", tasks, ({ records }) => records.filter((task) => task.done));
    },
    { wrapper: within(client) },
  );
  renders = 0;
  act(() => list.set(collectionOf([record("1", { title: "Edited" }), done])));
  expect([result.current.length, renders]).toEqual([1, 0]);
  act(() => list.set(collectionOf([record("1", { title: "Edited", done: true }), done])));
  expect([result.current.length, renders]).toEqual([2, 1]);
});

test("messages that fit go to the listener, the others to onInvalid, and what is sent is what the schema takes", async () => {
  const client = new FakeClient();
  const heard: Message<{ text: string }>[] = [];
  const refused: string[] = [];
  const { result } = renderHook(
    () =>
      useBroadcast(
        "room",
        chat,
        (message) => heard.push(message),
        (error) => refused.push(`${error.code} ${error.message}`),
      ),
    { wrapper: within(client) },
  );
  client.channel("room").receive("chat", { text: "Hello" });
  client.channel("room").receive("chat", { text: 7 });
  expect(heard.map(({ payload }) => payload)).toEqual([{ text: "Hello" }]);
  expect(refused).toEqual([expect.stringMatching(/^invalid_message chat: text: /)]);
  await result.current({ text: "Hi" });
  expect(client.channel("room").published).toEqual([{ event: "chat", payload: { text: "Hi" } }]);
});
