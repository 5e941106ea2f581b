import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EventReader } from "../src/event-reader";
import { createHttp } from "../src/fallback";
import { createFakePlatform } from "../src/testing/platform";

const URL = "http://server/socket/sse?vsn=2.0.0&apikey=secret";

interface Post {
  readonly url: string;
  readonly body: string;
  /** Answers it; 0 breaks its connection. */
  readonly answer: (status: number) => void;
}

/** A socket over a network that the test plays. */
function setUp() {
  const platform = createFakePlatform();
  const posts: Post[] = [];
  let stream: ReadableStreamDefaultController<Uint8Array> | undefined;
  let isAborted = false;
  let isHttpDown = false;
  const fetch = async (input: string, init: RequestInit): Promise<Response> => {
    if (isHttpDown) throw new TypeError("network error");
    if (init.method !== "POST") {
      init.signal?.addEventListener("abort", () => {
        isAborted = true;
        stream?.error(init.signal?.reason);
      });
      const start = (controller: ReadableStreamDefaultController<Uint8Array>) => {
        stream = controller;
      };
      return new Response(new ReadableStream({ start }));
    }
    return new Promise((resolve, reject) => {
      const answer = (status: number) =>
        status === 0 ? reject(new TypeError("network error")) : resolve(new Response(null, { status }));
      init.signal?.addEventListener("abort", () => reject(init.signal?.reason));
      posts.push({ url: input, body: String(init.body), answer });
    });
  };
  const http = createHttp(platform, fetch);
  const heard: string[] = [];
  const open = () => {
    const socket = http.openSocket(URL);
    socket.onopen = () => heard.push("open");
    socket.onmessage = (data) => heard.push(data);
    socket.onclose = (code, reason) => heard.push(`close ${code} ${reason}`);
    return socket;
  };
  // Streams of the platform take turns of the event loop, which no clock of ours moves.
  const settle = () => new Promise<void>((done) => setImmediate(() => setImmediate(done)));
  return {
    platform,
    http,
    posts,
    heard,
    open,
    settle,
    isAborted: () => isAborted,
    takeHttpDown: () => {
      isHttpDown = true;
    },
    say: async (text: string) => {
      await settle();
      stream?.enqueue(new TextEncoder().encode(text));
      await settle();
    },
    breakOff: async () => {
      stream?.close();
      await settle();
    },
    answer: async (status: number) => {
      posts.at(-1)?.answer(status);
      await settle();
    },
    advance: async (ms: number) => {
      await platform.advance(ms);
      await settle();
    },
  };
}

const OPEN = 'event: open\ndata: {"id":"NAME"}\n\n';

async function opened() {
  const world = setUp();
  const socket = world.open();
  await world.say(OPEN);
  return { ...world, socket };
}

describe("a socket of events and POSTs", () => {
  it("[H1] opens with the stream's name, and hears each frame", async () => {
    const { heard, say } = await opened();
    await say('data: [1]\n\ndata: [2]\n\n:\n\ndata: "ü');
    await say('😀"\n\n');
    expect(heard).toEqual(["open", "[1]", "[2]", '"ü😀"']);
  });

  it("[H2] sends one POST at a time, numbered; what is sent meanwhile goes together, in order", async () => {
    const { socket, posts, answer } = await opened();
    for (const frame of ["[1]", "[2]", "[3]"]) socket.send(frame);
    expect(posts).toMatchObject([{ url: "http://server/socket/sse/NAME?n=1", body: "[[1]]" }]);
    await answer(204);
    expect(posts[1]).toMatchObject({ url: "http://server/socket/sse/NAME?n=2", body: "[[2],[3]]" });
    await answer(204);
    expect(posts.length).toBe(2);
  });

  it("[H2] what is sent before the stream has a name waits for it", async () => {
    const { open, posts, say } = setUp();
    open().send("[1]");
    expect(posts).toEqual([]);
    await say(OPEN);
    expect(posts).toMatchObject([{ body: "[[1]]" }]);
  });

  it("[H3] a batch stays below what a server may allow for a frame; a longer frame goes alone", async () => {
    const { socket, posts, answer } = await opened();
    const frames = [...Array(100)].map((_, i) => `["${i}","${"€".repeat(i === 50 ? 100_000 : 900)}"]`);
    socket.send("[]");
    for (const frame of frames) socket.send(frame);
    while (posts.length < 100 && JSON.parse(posts.at(-1)?.body ?? "[]").at(-1)?.[0] !== "99") await answer(204);
    const sizes = posts.map(({ body }) => Buffer.byteLength(body));
    expect(sizes.filter((size) => size > 65_536)).toEqual([Buffer.byteLength(`[${frames[50]}]`)]);
    const sent: unknown[][] = posts.flatMap(({ body }) => JSON.parse(body));
    expect(sent.slice(1).map((frame) => frame[0])).toEqual(frames.map((_, i) => String(i)));
  });

  it.each([0, 408, 429, 502])("[H2] a POST that ends with %s is sent again under its number", async (status) => {
    const { socket, posts, heard, answer, advance } = await opened();
    socket.send("[1]");
    await answer(status);
    await advance(250);
    expect(posts[1]).toMatchObject({ url: posts[0]?.url, body: posts[0]?.body });
    await answer(204);
    socket.send("[2]");
    expect(posts[2]?.url).toMatch(/n=2$/);
    expect(heard).toEqual(["open"]);
  });

  it("gives up a POST that is not answered four times", async () => {
    const { socket, posts, heard, answer, advance, isAborted } = await opened();
    socket.send("[1]");
    for (const waitMs of [250, 500, 1_000, 0]) {
      await answer(0);
      await advance(waitMs);
    }
    expect([posts.length, heard.at(-1), isAborted()]).toEqual([
      4,
      "close 1006 the server did not take what was sent (0)",
      true,
    ]);
  });

  it("[H3] a stream that the server does not know is lost", async () => {
    const { socket, heard, answer } = await opened();
    socket.send("[1]");
    await answer(404);
    expect(heard.at(-1)).toMatch(/^close 1006/);
  });

  it.each([410, 413])("[H3] after %s the stream says why it ends", async (status) => {
    const { socket, heard, answer, say } = await opened();
    socket.send("[1]");
    await answer(status);
    expect(heard).toEqual(["open"]);
    await say('event: close\ndata: {"code":1009,"reason":"too large"}\n\n');
    expect(heard).toEqual(["open", "close 1009 too large"]);
  });

  it("is closed once, when the stream breaks off or is refused", async () => {
    const { heard, breakOff, socket, posts } = await opened();
    await breakOff();
    expect(heard).toEqual(["open", "close 1006 the event stream broke off"]);
    socket.send("[1]");
    socket.close();
    expect([heard.length, posts.length]).toEqual([2, 0]);

    const refused = setUp();
    refused.open();
    await refused.say('event: close\ndata: {"code":4101,"reason":"token refused"}\n\n');
    expect(refused.heard).toEqual(["close 4101 token refused"]);
  });

  it("close() sends what was sent before it first, but does not wait for ever", async () => {
    const { socket, posts, answer, isAborted } = await opened();
    socket.send("[1]");
    socket.send("[2]");
    socket.close();
    socket.send("[3]");
    await answer(204);
    expect([posts[1]?.body, isAborted()]).toEqual(["[[2]]", false]);
    await answer(204);
    expect([posts.length, isAborted()]).toEqual([2, true]);

    const stuck = await opened();
    stuck.socket.send("[1]");
    stuck.socket.close();
    await stuck.advance(2_000);
    expect([stuck.isAborted(), stuck.platform.timers]).toEqual([true, 0]);
  });

  it("says whether HTTP works", async () => {
    const { http, takeHttpDown } = setUp();
    expect(await http.isReachable("http://server/api/ping")).toBe(true);
    takeHttpDown();
    expect(await http.isReachable("http://server/api/ping")).toBe(false);
  });
});

describe("events", () => {
  it("[H1] are the same, however the text is cut", () => {
    const line = fc.stringMatching(/^[^\n\r]{0,12}$/);
    const block = fc.oneof(
      line.map((data) => `data: ${data}`),
      fc.tuple(line, line).map(([name, data]) => `event: ${name}\ndata: ${data}`),
      fc.constant(":"),
    );
    fc.assert(
      fc.property(fc.array(block), fc.array(fc.nat(200)), (blocks, cuts) => {
        const text = blocks.map((one) => `${one}\n\n`).join("");
        const places = [0, ...cuts.map((cut) => cut % (text.length + 1)).sort((a, b) => a - b), text.length];
        const reader = new EventReader();
        const parts = places.slice(1).flatMap((end, i) => reader.push(text.slice(places[i], end)));
        expect(parts).toEqual(new EventReader().push(text));
        expect(parts.length).toBe(blocks.filter((one) => one !== ":").length);
      }),
    );
  });
});
