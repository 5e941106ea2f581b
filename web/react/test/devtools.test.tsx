import { createRealtimeClient, type RealtimeClient } from "@chorale/client";
import { createFakePlatform, createFakeServer } from "@chorale/client/testing";
import { RealtimeDevtools } from "@chorale/react/devtools";
import { act, fireEvent, within as inElement, render } from "@testing-library/react";
import { StrictMode } from "react";
import { expect, test } from "vitest";
import { RealtimeProvider, useCollection } from "../src/index.ts";

function List() {
  const { records, add } = useCollection<{ title: string }>("list", "items");
  return (
    <button type="button" onClick={() => add({ title: "Ship it" })}>
      {records.length}
    </button>
  );
}

async function openPage() {
  const platform = createFakePlatform();
  const server = createFakeServer({ platform });
  const client = createRealtimeClient({ url: "http://fake", getToken: () => server.token("ada"), platform });
  const page = (client: RealtimeClient) => (
    <StrictMode>
      <RealtimeProvider client={client}>
        <List />
        <RealtimeDevtools />
      </RealtimeProvider>
    </StrictMode>
  );
  const { container, unmount } = render(page(client));
  const advance = (ms: number) => act(() => platform.advance(ms));
  await advance(1_000);
  const host = container.querySelector("[data-chorale-devtools]");
  if (!host?.shadowRoot) throw new Error("the panel has no place");
  const panel = inElement(host.shadowRoot as unknown as HTMLElement);
  const tab = (name: RegExp) => act(() => panel.getByRole("tab", { name }).click());
  return { platform, server, client, container, unmount, advance, panel, tab, host };
}

const PRESS = { key: "D", code: "KeyD", altKey: true, shiftKey: true };

test("a key opens the panel, Escape closes it, and the focus goes where it came from", async () => {
  const { panel, unmount, client } = await openPage();
  fireEvent.keyDown(window, PRESS);
  expect(panel.getByRole("region", { name: "Chorale devtools" })).toBeDefined();
  fireEvent.keyDown(panel.getByRole("tablist"), { key: "Escape" });
  expect(panel.queryByRole("region")).toBeNull();
  expect(panel.getByRole("button", { name: "Chorale devtools: connected" })).toBeDefined();
  unmount();
  act(() => client.close());
});

test("channels, writes, messages and the connection are shown, and arrow keys go from tab to tab", async () => {
  const { panel, tab, advance, container, server, unmount, client } = await openPage();
  act(() => panel.getByRole("button").click());
  tab(/Channels/);
  expect(panel.getByRole("article", { name: "list" }).textContent).toContain("joined");

  act(() => void fireEvent.click(panel.getByRole("checkbox", { name: "Offline" })));
  act(() => container.querySelector("button")?.click());
  await advance(3_000);
  expect(panel.getByRole("status").textContent).toContain("offline");
  tab(/Writes/);
  expect(panel.getByRole("list", { name: "Unsettled writes" }).textContent).toContain("1 pending");
  act(() => void fireEvent.click(panel.getByRole("checkbox", { name: "Offline" })));
  await advance(3_000);
  expect(panel.getByText("All writes have settled.")).toBeDefined();
  expect(server.channel("list").records("items")).toHaveLength(1);

  fireEvent.keyDown(panel.getByRole("tablist"), { key: "ArrowRight" });
  expect(panel.getByRole("tab", { selected: true }).textContent).toBe("Messages");
  fireEvent.change(panel.getByRole("searchbox"), { target: { value: "list mutate" } });
  expect(panel.getAllByText("mutate", { exact: false }).length).toBeGreaterThan(0);
  expect(panel.queryByText("phx_join", { exact: false })).toBeNull();
  fireEvent.keyDown(panel.getByRole("tablist"), { key: "Home" });
  expect(panel.getByRole("list", { name: "History of the connection" }).textContent).toContain("offline by the devtools");
  unmount();
  act(() => client.close());
});

test("keys that are typed into the panel do not reach the page, and the client is as it was when the panel has gone", async () => {
  const { panel, tab, unmount, client } = await openPage();
  const heard: string[] = [];
  const listen = (event: KeyboardEvent) => heard.push(event.key);
  window.addEventListener("keydown", listen);
  act(() => panel.getByRole("button").click());
  tab(/Messages/);
  fireEvent.keyDown(panel.getByRole("searchbox"), { key: "n", bubbles: true, composed: true });
  expect(heard).toEqual([]);
  window.removeEventListener("keydown", listen);
  const replaced = client.debug?.platform.openSocket;
  unmount();
  expect(client.debug?.platform.openSocket).not.toBe(replaced);
  act(() => client.close());
});
