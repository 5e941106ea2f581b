/** The samples of the guide to offline, which have no framework: compared with the page, and run. */
import { readdirSync, readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { collectNotices, type Notice } from "./guides/after-days";
import { guard, signOut } from "./guides/goodbye";
import { openClient } from "./guides/kept";
import { tellState } from "./guides/told";
import { createWorld } from "./offline-world";

const read = (path: string) => readFileSync(new URL(path, import.meta.url), "utf8");

it("the samples in the guide to offline are those that the compiler has seen", () => {
  const samples = [...read("../../../docs/guides/offline.md").matchAll(/```ts\n(.*?)```/gs)].map(([, sample]) => sample);
  expect(samples).toEqual(["kept", "told", "goodbye", "after-days"].map((name) => read(`guides/${name}.ts`)));
  expect(readdirSync(new URL("guides", import.meta.url))).toHaveLength(samples.length);
});

it("a client is made with a storage of the user's, and opens nothing yet", () => {
  const client = openClient("http://nowhere.test", "ada", async () => "token");
  expect(client.storage.getSnapshot()).toEqual({ mode: "opening" });
  client.close();
});

it("what waits is told with where it is, and asked about only where it would be lost", async () => {
  const { open, pass, isOffline } = createWorld();
  const ada = open();
  await pass(1_000);
  const said: string[] = [];
  const stop = tellState(ada.client, (text) => said.push(text));
  expect(said).toEqual(["connected"]);
  isOffline(true);
  await pass(1_000);
  ada.notes.add({ content: "on the train" });
  await pass();
  expect(said.at(-1)).toBe("reconnecting · 1 unsent, kept on this device");
  let asked = 0;
  const ask = { preventDefault: () => asked++ };
  guard(ada.client, ask);
  expect(asked).toBe(0);

  expect(await signOut(ada.client, () => false)).toBe(false);
  expect(ada.pending()).toBe(1);
  const left = signOut(ada.client, (text) => text.startsWith("1 changes are not sent"));
  await pass(1_000);
  expect(await left).toBe(true);
  stop();
  isOffline(false);
  const next = open();
  await pass(35_000);
  expect([next.contents(), next.pending()]).toEqual([[], 0]);
});

it("after days the next page hears what became of the last one's writes", async () => {
  const { open, pass, isOffline } = createWorld();
  const [ada, ben] = [open(), open({ sub: "ben" })];
  ben.notes.add({ id: "n1", content: "first" });
  ben.notes.add({ id: "n2", content: "second" });
  await pass(1_000);
  isOffline(true);
  ada.notes.patch("n1", { content: "Ada's, on Monday" });
  ada.notes.patch("n2", { content: "Ada's, too" });
  await pass(1_000);
  ada.tab.kill();
  ben.notes.patch("n1", { content: "Ben's, on Friday" });
  ben.notes.delete("n2");
  isOffline(false);
  await pass(35_000);

  const later = open();
  const notices: Notice[] = [];
  collectNotices(later.client, (notice) => notices.push(notice));
  await pass(35_000);
  expect(notices).toEqual([
    { recordId: "n1", text: "content is now “Ben's, on Friday”: somebody wrote later than you", mine: "Ada's, on Monday" },
    { recordId: "n2", text: "not saved: gone", mine: { content: "Ada's, too" } },
  ]);
});
