import { useEffect, useState } from "react";
import { createRoot } from "react-dom/client";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type UseCollection, useCollection } from "../src/index.ts";
import { aServer } from "./server.ts";
import { within } from "./within.tsx";

interface Item {
  title: string;
}

/** More than React lets follow each other with something put off: it takes them for a loop. */
const BURST = 200;
/** React's own tasks are in real time, on a machine that may be busy. */
const PATIENT = { timeout: 20_000 };
/** The socket of Ben, who comes first. */
const BEN = 1;

// With `act` React does what it has put off at the end of each act. Here it is to wait for a task of its own, as in a browser.
const environment = globalThis as unknown as { IS_REACT_ACT_ENVIRONMENT: boolean | undefined };
const wasAct = environment.IS_REACT_ACT_ENVIRONMENT;
beforeEach(() => {
  environment.IS_REACT_ACT_ENVIRONMENT = false;
});
afterEach(() => {
  environment.IS_REACT_ACT_ENVIRONMENT = wasAct;
});

/** Ben's page: a list, with a state that an effect sets for every change of it. */
async function open() {
  const { client, platform, server } = aServer();
  const [ada, ben] = [client("ada"), client("ben")];
  const page = { renders: 0, errors: [] as unknown[], list: undefined as UseCollection<Item> | undefined };
  function List() {
    const list = useCollection<Item>("list", "items");
    const { records } = list;
    const [seen, setSeen] = useState(records);
    useEffect(() => setSeen(records), [records]);
    page.renders++;
    page.list = list;
    return `${records.length} items, ${seen.length} seen`;
  }
  const element = document.createElement("div");
  const note = (error: unknown) => page.errors.push(error);
  const root = createRoot(element, { onUncaughtError: note, onRecoverableError: note });
  const Within = within(ben);
  root.render(
    <Within>
      <List />
    </Within>,
  );
  const isLoading = async () => {
    await platform.advance(100); // the hook asks for the list when React comes to its effects
    return page.list?.isLoading;
  };
  await expect.poll(isLoading, PATIENT).toBe(false);
  await expect.poll(() => element.textContent, PATIENT).toBe("0 items, 0 seen");
  const items = ada.channels.getChannel({ name: "list" }).collection<Item>("items");
  await platform.advance(1_000);
  page.renders = 0;
  return { platform, server, page, element, items, close: () => root.unmount() };
}

/** Ada writes; what that brings is on Ben's wire, ready to come all at once. */
async function write({ platform, server, items }: Awaited<ReturnType<typeof open>>, count: number) {
  const arriveMs = 5_000;
  const due = platform.now() + arriveMs;
  const late = server.intercept(({ direction, event, socket }) =>
    direction === "down" && event === "change" && socket === BEN ? { delayMs: due - platform.now() } : undefined,
  );
  for (let n = 0; n < count; n++) items.add({ title: `item ${n}` });
  await platform.advance(arriveMs - 1);
  late();
}

test("[R5] 200 records that come in one burst do not look like a loop to React", async () => {
  const ben = await open();
  const { platform, page, element, close } = ben;
  await write(ben, BURST);
  expect(element.textContent).toBe("0 items, 0 seen");
  await platform.advance(1); // each frame is a task of its own, and none of React's comes between them
  await expect.poll(() => element.textContent, PATIENT).toBe(`${BURST} items, ${BURST} seen`);
  expect([page.errors, platform.errors]).toEqual([[], []]);
  // The first ones each, all others together, and what the last effect set.
  expect(page.renders).toBeLessThanOrEqual(16 + 1 + 1);
  close();
});
