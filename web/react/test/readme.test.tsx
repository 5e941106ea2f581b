import { readFileSync } from "node:fs";
import { createRealtimeClient } from "@chorale/client";
import { createFakePlatform, createFakeServer } from "@chorale/client/testing";
import { act, render, screen } from "@testing-library/react";
import { expect, test } from "vitest";
import { Tasks } from "./readme/own-types.tsx";
import { within } from "./within.tsx";

const read = (path: string) => readFileSync(new URL(path, import.meta.url), "utf8");

test("the samples in the README are those that the compiler has seen", () => {
  const samples = [...read("../README.md").matchAll(/```tsx\n(.*?)```/gs)].map(([, sample]) => sample);
  expect(samples).toEqual(["notes", "own-types", "devtools"].map((name) => read(`readme/${name}.tsx`)));
});

test("the sample of own types shows what fits and says what does not", async () => {
  const platform = createFakePlatform();
  const server = createFakeServer({ platform });
  const client = createRealtimeClient({ url: "http://fake", getToken: () => server.token("ada"), platform });
  const waves: string[] = [];
  const { unmount } = render(<Tasks project="1" onWave={(from) => waves.push(from)} />, { wrapper: within(client) });
  const advance = (ms: number) => act(() => platform.advance(ms));
  await advance(1_000);
  act(() => screen.getByText("Add").click());
  act(() => screen.getByRole("checkbox").click());
  await advance(1_000);
  expect(screen.getByText("0 open")).toBeDefined();

  server.channel("project:1").broadcast("wave", { from: "Ben" });
  const other = client.channels.getChannel({ name: "project:1" });
  act(() => void other.collection<{ title: number }>("tasks").add({ title: 7 }));
  await advance(1_000);
  expect(waves).toEqual(["Ben"]);
  expect(screen.getByText("1 tasks of another version of this app are not shown.")).toBeDefined();
  expect(platform.errors).toEqual([]);
  unmount();
  act(() => client.close());
});

test("the README names every hook", () => {
  const hooks = read("../src/index.ts").match(/\buse[A-Z]\w+/g) ?? [];
  const readme = read("../README.md");
  expect(hooks.filter((hook) => !new RegExp(`\`${hook}[(<]`).test(readme))).toEqual([]);
});
