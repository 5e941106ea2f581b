import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { ChoraleError, createRealtimeClient, type RealtimeClient } from "@chorale/client";
import { act, fireEvent, render, renderHook, screen } from "@testing-library/react";
import { renderToString } from "react-dom/server";
import { afterEach, describe, expect, test, vi } from "vitest";
import { SignInBanner } from "./guides/banner.tsx";
import { Cursors } from "./guides/cursors.tsx";
import { App } from "./guides/first-page.tsx";
import { guestToken } from "./guides/guest.ts";
import { Notes } from "./guides/next-notes.tsx";
import Page from "./guides/next-page.tsx";
import { getToken, Realtime } from "./guides/next-provider.tsx";
import { EditedBy, Names, useMyself } from "./guides/people.tsx";
import { takeSeat } from "./guides/seat.ts";
import { openTodos } from "./guides/todos.ts";
import { tokenFrom } from "./guides/token.ts";
import { tokenRoute } from "./guides/token-route.ts";
import { Undoable } from "./guides/undo.tsx";
import viteConfig from "./guides/vite.ts";
import { note } from "./notes.ts";
import { aServer } from "./server.ts";
import { within } from "./within.tsx";

const clients: RealtimeClient[] = [];
const until = (client: RealtimeClient) => {
  clients.push(client);
  return client;
};
afterEach(() => {
  act(() => {
    for (const client of clients.splice(0)) client.close();
  });
  vi.unstubAllGlobals();
  vi.unstubAllEnvs();
});

const here = dirname(fileURLToPath(import.meta.url));
const PAGES = join(here, "../../../docs/guides");
const SAMPLES = join(here, "guides");
const samplesOf = (page: string) =>
  [...readFileSync(join(PAGES, page), "utf8").matchAll(/```tsx?\n(.*?)```/gs)].map(([, sample]) => sample);

test("each sample of the guides is one that the compiler has seen, and that is run below", () => {
  const pages = readdirSync(PAGES).filter((name) => name.endsWith(".md") && name !== "go.md" && name !== "offline.md");
  const shown = pages.flatMap(samplesOf).sort();
  const seen = readdirSync(SAMPLES).map((name) => readFileSync(join(SAMPLES, name), "utf8"));
  expect(shown).toEqual(seen.sort());
});

describe("the guide to React", () => {
  test("a page of tasks shows what is written at once, and says that it is not connected", async () => {
    const { server, platform, pass } = aServer();
    // The page makes its own client, so the server's sockets are given to the browser.
    class Socket {
      onopen: (() => void) | null = null;
      onmessage: ((event: { data: string }) => void) | null = null;
      onclose: ((event: { code: number; reason: string }) => void) | null = null;
      readonly #inner;
      constructor(url: string) {
        this.#inner = platform.openSocket(url);
        this.#inner.onopen = () => this.onopen?.();
        this.#inner.onmessage = (data) => this.onmessage?.({ data });
        this.#inner.onclose = (code, reason) => this.onclose?.({ code, reason });
      }
      send(data: string) {
        this.#inner.send(data);
      }
      close(code?: number, reason?: string) {
        this.#inner.close(code, reason);
      }
    }
    vi.stubGlobal("WebSocket", Socket);
    const page = render(<App url="http://chorale.test" getToken={async () => server.token("ada")} />);
    await vi.waitFor(async () => {
      await pass(50);
      expect(screen.getByRole("status").textContent).toBe("Live");
    });
    fireEvent.change(screen.getByLabelText("What is to be done"), { target: { value: "Water the beans" } });
    fireEvent.click(screen.getByText("Add"));
    fireEvent.click(screen.getByRole("checkbox"));
    expect(screen.getByRole<HTMLInputElement>("checkbox").checked).toBe(true);
    await vi.waitFor(async () => {
      await pass(50);
      expect(server.channel("list:garden").records("tasks")).toHaveLength(1);
    });
    page.unmount();
  });

  test("a guest's token is asked for, and the development server forwards what it takes", async () => {
    const asked = vi.fn(async () => Response.json({ token: "t" }));
    vi.stubGlobal("fetch", asked);
    expect(await guestToken()).toBe("t");
    expect(asked).toHaveBeenCalledWith("/dev/token", expect.objectContaining({ method: "POST" }));
    expect(Object.keys((viteConfig as { server: { proxy: object } }).server.proxy)).toEqual(["/dev/token", "/socket", "/api"]);
  });

  test("what a page begins with finds its place, and asks for a guest's token", async () => {
    // Nobody is told why, so that nothing goes on when the test has ended.
    const asked = vi.fn(() => Promise.reject(new ChoraleError("signed_out", "sign in again")));
    vi.stubGlobal("fetch", asked);
    document.body.innerHTML = '<div id="root"></div>';
    await act(() => import("./guides/main.tsx"));
    expect(asked).toHaveBeenCalledWith("/dev/token", expect.objectContaining({ method: "POST" }));
    expect(document.body.textContent).toBe("sign in again");
    document.body.replaceChildren();
  });
});

describe("the guide to Next.js", () => {
  test("the route signs for whoever is signed in, and nobody else", async () => {
    const post = tokenRoute(
      async (request) => (request.headers.has("x-session") ? { id: "u1", name: "Ada" } : undefined),
      "s".repeat(32),
    );
    expect((await post(new Request("http://app"))).status).toBe(401);
    const { token } = await (await post(new Request("http://app", { headers: { "x-session": "ada" } }))).json();
    const [, claims = ""] = token.split(".");
    expect(JSON.parse(Buffer.from(claims, "base64url").toString())).toMatchObject({ sub: "u1", role: "authenticated" });
  });

  test("somebody who is signed out is an error that only a person can help with", async () => {
    vi.stubGlobal("fetch", async () => new Response("", { status: 401 }));
    await expect(getToken()).rejects.toMatchObject({ code: "signed_out", retryable: false });
    vi.stubGlobal("fetch", async () => Response.json({ token: "t" }));
    expect(await getToken()).toBe("t");
  });

  test("a server renders its notes, and opens nothing", () => {
    const html = renderToString(
      <Realtime url="http://chorale.test" userId="u1">
        <Notes interviewId="1" initialNotes={[note("n1", "from the server")]} />
      </Realtime>,
    );
    expect(html).toBe('<section aria-label="Notes"><p>from the server</p></section>');
  });

  test("a page reads its notes over REST, as the server gives them, and is there without them", async () => {
    const asked: unknown[] = [];
    vi.stubEnv("CHORALE_URL", "http://chorale.test");
    vi.stubGlobal("fetch", async (url: string, { headers }: { headers: { authorization: string } }) => {
      asked.push([url, headers.authorization.split(".").length]);
      const meta = { version: 4, createdBy: "ada", createdAt: 1, updatedBy: "ada", updatedAt: 2 };
      const fields = { content: "from the server", timestampMs: 0, authorName: "Ada", kind: "note" };
      const stored = { id: "n1", fields, sets: { tags: ["a"] }, stamps: {}, setStamps: {}, ...meta };
      return url.includes("interview:1/") ? Response.json({ records: [stored] }) : new Response("", { status: 503 });
    });
    const htmlOf = async (id: string) =>
      renderToString(
        <Realtime url="http://chorale.test" userId="u1">
          {await Page({ params: Promise.resolve({ id }) })}
        </Realtime>,
      );
    expect(await htmlOf("1")).toBe('<section aria-label="Notes"><p>from the server</p></section>');
    expect(await htmlOf("2")).toBe('<section aria-label="Notes"></section>');
    expect(asked[0]).toEqual(["http://chorale.test/api/v1/channels/interview:1/collections/notes/records", 3]);
  });
});

test("the guide to presence: names without the rest, and who edits what", async () => {
  const { client, pass } = aServer();
  const [ada, ben] = [until(client("ada")), until(client("ben"))];
  const page = render(
    <>
      <Names channel="board" />
      <EditedBy channel="board" card="c1" />
    </>,
    { wrapper: within(ada) },
  );
  expect(page.container.textContent).toBe("Nobody is here");
  const { rerender } = renderHook(({ card }: { card: string | null }) => useMyself("board", "Ben", card), {
    wrapper: within(ben),
    initialProps: { card: null as string | null },
  });
  await pass(2_000);
  expect(page.container.textContent).toBe("Here: Ben");
  rerender({ card: "c1" });
  await pass(2_000);
  expect(page.container.textContent).toBe("Here: BenBen edits this");
});

test("the guide to presence: a cursor is seen by others, at a pace, and not logged", async () => {
  const { client, server, pass } = aServer();
  let time = 1_000;
  const now = () => time;
  const [ada, ben] = [client("ada"), client("ben")].map((each) =>
    render(<Cursors channel="board" now={now} />, { wrapper: within(until(each)) }),
  );
  await pass(1_000);
  const board = ada?.getAllByTestId("board")[0];
  if (!board || !ben) throw new Error("no board");
  for (let x = 0; x < 10; x++) {
    fireEvent.pointerMove(board, { clientX: x, clientY: 5 });
    time += 20;
  }
  await pass(1_000);
  expect(ben.container.querySelectorAll('[data-testid="cursor"]')).toHaveLength(1);
  expect(ada?.container.querySelectorAll('[data-testid="cursor"]')).toHaveLength(0);
  expect(server.frames.filter(({ direction, event }) => direction === "up" && event === "broadcast")).toHaveLength(4);
  expect(server.channel("board").position.offset).toBe(0);
});

test("the guide to conflicts: what is mine goes back, what is theirs stays", async () => {
  const { client, pass } = aServer();
  const [ada, ben] = [until(client("ada")), until(client("ben"))];
  const theirs = ben.channels.getChannel({ name: "board" }).collection<{ title: string }>("cards");
  const page = render(<Undoable channel="board" />, { wrapper: within(ada) });
  await pass(1_000);
  act(() => void theirs.add({ id: "c1", title: "first" }));
  await pass(1_000);
  const field = () => page.getByLabelText("Title") as HTMLInputElement;
  const type = (title: string) => fireEvent.change(field(), { target: { value: title } });
  const press = (shiftKey = false, where: Element | Window = window) =>
    fireEvent.keyDown(where, { key: shiftKey ? "Z" : "z", ctrlKey: true, shiftKey });
  type("mine");
  await pass(1_000);
  press(false, field());
  expect(field().value).toBe("mine"); // the browser's own key
  press();
  expect(field().value).toBe("first");
  press(true);
  await pass(1_000);
  act(() => void theirs.patch("c1", { title: "theirs" }));
  await pass(1_000);
  fireEvent.click(page.getByText("Undo"));
  await pass(1_000);
  expect([field().value, page.getByRole("status").textContent]).toEqual([
    "theirs",
    "Somebody else has changed that since: theirs stays.",
  ]);
  press();
  expect(page.getByRole("status").textContent).toBe("Nothing to undo");
});

test("the guide to conflicts: a seat is taken once", async () => {
  const { client, pass } = aServer();
  const [ada, ben] = ["ada", "ben"].map((sub) =>
    until(client(sub)).channels.getChannel({ name: "hall" }).collection<{ takenBy: string }>("seats"),
  );
  if (!ada || !ben) throw new Error("nobody came");
  ada.add({ id: "s1", takenBy: "" });
  await pass(1_000);
  const both = Promise.all([takeSeat(ada, "s1", "ada"), takeSeat(ben, "s1", "ben")]);
  await pass(1_000);
  expect((await both).sort()).toEqual([false, true]);
});

test("the guide from Supabase: todos are rendered as they stand, and messages are heard", async () => {
  const log = vi.spyOn(console, "log").mockImplementation(() => {});
  const { server, platform, pass } = aServer();
  const rendered: string[] = [];
  const todos = openTodos({ url: "http://x", getToken: () => server.token("ada"), platform }, "garden", (all) =>
    rendered.push(all.map(({ title }) => title).join()),
  );
  await pass(1_000);
  todos.add("Water the beans");
  const said = todos.say("Hello");
  server.channel("list:garden").broadcast("chat", { text: "Hi Ada" });
  await pass(1_000);
  expect(rendered.at(-1)).toBe("Water the beans");
  expect(await said).toMatchObject({ offset: expect.any(Number) });
  expect(log).toHaveBeenCalledWith("Hi Ada");
  todos.close();
});

test("the guide to auth: a token that was refused is not taken from a cache, and who is signed out is told", async () => {
  const request = vi.fn(async () => Response.json({ token: "t" }));
  const ask = tokenFrom("/token", request as unknown as typeof fetch);
  expect(await ask({ refused: true })).toBe("t");
  expect(request).toHaveBeenCalledWith("/token", { method: "POST", cache: "reload" });
  const signedOut = tokenFrom("/token", async () => new Response("", { status: 401 }));

  const { server, platform, pass } = aServer();
  let isSignedIn = false;
  const client = createRealtimeClient({
    url: "http://x",
    getToken: (why) => (isSignedIn ? server.token("ada") : signedOut(why)),
    platform,
  });
  render(
    <SignInBanner
      signIn={async () => {
        isSignedIn = true;
      }}
    />,
    { wrapper: within(until(client)) },
  );
  await pass(1_000);
  fireEvent.click(screen.getByText("Sign in"));
  await pass(1_000);
  expect(screen.queryByRole("alert")).toBeNull();
  expect(client.connection.getSnapshot().status).toBe("connected");
});
