import { createRealtimeClient, type RealtimeClient } from "@chorale/client";
import { createFakePlatform, createFakeServer } from "@chorale/client/testing";
import { RealtimeProvider } from "@chorale/react";
import { act, fireEvent, render, within } from "@testing-library/react";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Board } from "./board.tsx";

let platform: ReturnType<typeof createFakePlatform>;
let server: ReturnType<typeof createFakeServer>;
const clients: RealtimeClient[] = [];

beforeEach(() => {
  platform = createFakePlatform({ seed: 1 });
  server = createFakeServer({ platform });
});
afterEach(() => {
  act(() => {
    for (const client of clients.splice(0)) client.close();
  });
  expect(platform.errors).toEqual([]);
});

/** Turns the clock: timers fire, frames travel, React renders. */
const pass = (ms: number) => act(() => platform.advance(ms));

function openBoard(sub: string) {
  const client = createRealtimeClient({ url: "http://fake", getToken: () => server.token(sub), platform });
  clients.push(client);
  const { container } = render(
    <RealtimeProvider client={client}>
      <Board channel="board:1" />
    </RealtimeProvider>,
  );
  return { client, screen: within(container), title: () => within(container).getByLabelText("Title") as HTMLInputElement };
}

function rename(input: HTMLInputElement, value: string) {
  fireEvent.change(input, { target: { value } });
}

test("what one writes offline and another one online ends the same, and the one who lost is told", async () => {
  const ada = openBoard("ada");
  const ben = openBoard("ben");
  await pass(1_000);
  act(
    () =>
      void ada.client.channels.getChannel({ name: "board:1" }).collection<{ title: string }>("cards").add({ title: "Draft" }),
  );
  await pass(1_000);

  server.pause(); // both write before either hears of the other
  rename(ada.title(), "Ada's");
  await pass(10);
  rename(ben.title(), "Ben's");
  server.resume();
  await pass(1_000);

  expect(ada.title().value).toBe("Ben's");
  expect(ben.title().value).toBe("Ben's");
  fireEvent.click(ada.screen.getByText("Keep mine"));
  await pass(1_000);
  expect(ben.title().value).toBe("Ada's");
});

test("a refused write is rolled back, and its text is there until it is dismissed", async () => {
  const ada = openBoard("ada");
  await pass(1_000);
  act(
    () =>
      void ada.client.channels.getChannel({ name: "board:1" }).collection<{ title: string }>("cards").add({ title: "Draft" }),
  );
  await pass(1_000);

  server.rejectNext({ code: "schema_violation", message: "no shouting" });
  rename(ada.title(), "LOUD");
  await pass(1_000);
  expect(ada.title().value).toBe("Draft");
  expect(ada.screen.getByRole("alert").textContent).toContain("LOUD");
  fireEvent.click(ada.screen.getByText("Let it go"));
  expect(ada.screen.queryByRole("alert")).toBeNull();
});

test("what was written before the network went is sent once it is back", async () => {
  const ada = openBoard("ada");
  await pass(1_000);
  server.unreachable(true);
  server.kill();
  act(
    () =>
      void ada.client.channels
        .getChannel({ name: "board:1" })
        .collection<{ title: string }>("cards")
        .add({ title: "On the train" }),
  );
  await pass(3_600_000);
  expect(ada.client.pendingCount.getSnapshot()).toBe(1);
  server.unreachable(false);
  await pass(60_000);
  expect(ada.client.pendingCount.getSnapshot()).toBe(0);
  expect(server.channel("board:1").records("cards")).toHaveLength(1);
});
