import type { RealtimeClient } from "@chorale/client";
import { render } from "@testing-library/react";
import * as React from "react";
import { StrictMode } from "react";
import { describe, expect, test } from "vitest";
import { RealtimeProvider, useChannel, useClient } from "../src/index.ts";
import { FakeClient } from "./fake-client.ts";
import { aServer } from "./server.ts";

/** A provider that makes its client, and what it makes. */
function aPage() {
  const clients = new Set<RealtimeClient>();
  const asked: string[] = [];
  const live = aServer();
  function Room() {
    clients.add(useClient());
    return useChannel("room").status;
  }
  const page = (user = "ada", url = "http://chorale.test") => (
    <RealtimeProvider
      url={url}
      platform={live.platform}
      getToken={({ refused }) => {
        asked.push(refused ? `${user}, refused` : user);
        return live.server.token(user);
      }}
    >
      <Room />
    </RealtimeProvider>
  );
  return { ...live, page, clients, asked };
}

describe("RealtimeProvider with url", () => {
  test("makes one client, connects it when mounted, and closes it a moment after unmounting", async () => {
    const { page, pass, server, clients, platform } = aPage();
    const { container, rerender, unmount } = render(page());
    await pass(100);
    rerender(page());
    expect(container.textContent).toBe("joined");
    expect([clients.size, server.sockets]).toEqual([1, 1]);
    unmount();
    await pass(1_000);
    const [client] = clients;
    expect(client?.connection.getSnapshot().status).toBe("closed");
    expect([server.sockets, platform.timers]).toEqual([0, 0]);
  });

  test("[trap 35] StrictMode's second mount keeps the first one's client and connection", async () => {
    const { page, pass, server, sent, asked } = aPage();
    const opened = new Set<number>();
    server.intercept((frame) => {
      opened.add(frame.socket);
      return undefined;
    });
    const { container } = render(<StrictMode>{page()}</StrictMode>);
    await pass(5_000);
    expect(container.textContent).toBe("joined");
    expect([opened.size, sent("phx_join", "room"), new Set(asked).size]).toEqual([1, 1, 1]);
  });

  test("asks the newest getToken, and says why", async () => {
    const { page, pass, server, asked } = aPage();
    const { rerender } = render(page("ada"));
    await pass(100);
    rerender(page("ada, later"));
    server.refuseTokens(true);
    server.kill(4101);
    server.refuseTokens(false);
    await pass(5_000);
    expect(asked[0]).toBe("ada");
    expect(asked.at(-1)).toBe("ada, later, refused");
  });

  test("another url is another client, and the old one is closed", async () => {
    const { page, pass, server, clients } = aPage();
    const { rerender } = render(page());
    await pass(100);
    rerender(page("ada", "http://other.test"));
    await pass(1_000);
    const statuses = [...clients].map((client) => client.connection.getSnapshot().status);
    expect(statuses).toEqual(["closed", "connected"]);
    expect(server.sockets).toBe(1);
  });

  test.runIf("Activity" in React)("a page that was hidden for long is live when it is shown again", async () => {
    const { page, pass, server, clients } = aPage();
    const tree = (mode: "visible" | "hidden") => <React.Activity mode={mode}>{page()}</React.Activity>;
    const { container, rerender } = render(tree("visible"));
    await pass(100);
    rerender(tree("hidden"));
    await pass(10_000);
    expect(server.sockets).toBe(0);
    rerender(tree("visible"));
    await pass(1_000);
    expect(container.textContent).toBe("joined");
    expect([clients.size, server.sockets]).toEqual([2, 1]);
  });
});

describe("RealtimeProvider with a client", () => {
  test("keeps its connection while mounted, and leaves closing it to the app", () => {
    const client = new FakeClient();
    const { unmount } = render(
      <StrictMode>
        <RealtimeProvider client={client} />
      </StrictMode>,
    );
    expect(client.retained).toBe(1);
    unmount();
    expect(client.retained).toBe(0);
    expect(client.connection.getSnapshot().status).toBe("connected");
  });

  test("another client takes over what the hooks hold", () => {
    const [first, second] = [new FakeClient(), new FakeClient()];
    function Room() {
      useChannel("room");
      return null;
    }
    const page = (client: FakeClient) => (
      <RealtimeProvider client={client}>
        <Room />
      </RealtimeProvider>
    );
    const { rerender } = render(page(first));
    rerender(page(second));
    expect(first.held).toBe(0);
    expect(second.channels.list()).toEqual(["room"]);
  });
});
