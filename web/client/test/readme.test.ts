import { readFileSync } from "node:fs";
import { expect, it, vi } from "vitest";
import { createFakePlatform, createFakeServer } from "../src/testing";
import { Votes } from "./readme/handler";
import { twoPeople } from "./readme/testing";
import { openProject } from "./readme/tour";
import { withUndo } from "./readme/undo";
import { byHand } from "./room";

const read = (path: string) => readFileSync(new URL(path, import.meta.url), "utf8");

it("the samples in the README are those that the compiler has seen", () => {
  const samples = [...read("../README.md").matchAll(/```ts\n(.*?)```/gs)].map(([, sample]) => sample);
  expect(samples).toEqual(
    ["tour", "handler", "undo", "history", "offline", "tabs", "testing", "node"].map((name) => read(`readme/${name}.ts`)),
  );
});

it("the tour does what it says", async () => {
  const log = vi.spyOn(console, "log").mockImplementation(() => {});
  const platform = createFakePlatform();
  const server = createFakeServer({ platform });
  const { client, tasks, sent, settled } = openProject({ url: "http://fake", getToken: () => server.token("ada"), platform });
  await platform.advance(1_000);
  server.channel("project:123").broadcast("chat", { text: "Hi Ada" });
  await platform.advance(10);
  expect(await sent).toMatchObject({ offset: expect.any(Number) });
  expect(await settled).toMatchObject({ status: "applied" });
  expect(tasks.snapshot.getSnapshot().records).toMatchObject([{ title: "Ship it", done: false, tags: ["today"] }]);
  expect(log.mock.calls.flat()).toEqual(expect.arrayContaining(["Hi Ada", [expect.objectContaining({ isSelf: true })]]));
  expect(platform.errors).toEqual([]);
  client.close();
  log.mockRestore();
});

it("the handler counts a vote at once, once, and not at all when it is refused", async () => {
  const { client, wire, platform } = await byHand();
  const channel = client.channels.getChannel({ name: "room" });
  const votes = new Votes();
  channel.use(votes);
  const voted = votes.vote(channel, "tea");
  expect(votes.counts.get("tea")).toBe(1);
  await platform.advance(0);
  const [push] = wire.pushes("broadcast");
  const { meta } = (push?.[4] ?? {}) as { meta: { id: string } };
  const echo = { type: "broadcast", event: "vote", payload: { option: "tea" }, meta: { id: meta.id, offset: 1 } };
  wire.say(JSON.stringify([null, null, "realtime:room", "broadcast", echo]));
  wire.reply(push, { status: "ok", response: { id: meta.id, offset: 1 } });
  await voted;
  expect([votes.counts.get("tea"), votes.pendingOptimistic]).toEqual([1, 0]);

  const refused = expect(votes.vote(channel, "coffee")).rejects.toMatchObject({ code: "unauthorized" });
  wire.reply(wire.pushes("broadcast")[1], { status: "error", response: { reason: "Unauthorized: no", code: "unauthorized" } });
  await refused;
  expect([votes.counts.get("coffee"), votes.pendingOptimistic]).toEqual([0, 0]);
});

it("undo says when somebody else was there, and a group is one step", async () => {
  const log = vi.spyOn(console, "log").mockImplementation(() => {});
  const platform = createFakePlatform();
  const server = createFakeServer({ platform });
  const [ada, ben] = ["ada", "ben"].map((sub) =>
    openProject({ url: "http://fake", getToken: () => server.token(sub), platform }),
  );
  if (!ada || !ben) throw new Error("nobody came");
  const said: string[] = [];
  const { back, again, finishAll } = withUndo(ada.tasks, (text) => said.push(text));
  await platform.advance(1_000);
  const ids = ada.tasks.snapshot.getSnapshot().records.map(({ id }) => id);
  finishAll(ids);
  await platform.advance(1_000);
  const done = () => ben.tasks.snapshot.getSnapshot().records.map((task) => task.done);
  expect(done()).toEqual([true, true]);
  back();
  await platform.advance(1_000);
  expect(done()).toEqual([false, false]);
  again();
  await platform.advance(1_000);
  ben.tasks.patch(ids[0] ?? "", { done: true });
  await platform.advance(1_000);
  back();
  back();
  await platform.advance(1_000);
  expect(done().sort()).toEqual([false, true]);
  expect(said).toEqual(["Somebody else has changed that since.", "There is nothing to undo."]);
  for (const { client } of [ada, ben]) client.close();
  log.mockRestore();
});

it("two people see what one of them wrote on the train", async () => {
  expect(await twoPeople()).toEqual({ shown: ["Written on the train"], errors: [] });
});
