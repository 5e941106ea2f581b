import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createRealtimeClient } from "../src/client";
import { nextWay, STRAIGHT } from "../src/route";
import { createFakePlatform } from "../src/testing/platform";
import { inRoom, setUp as setUpRoom } from "./room";
import { jwt, setUp, Wire } from "./wire";

const FALLBACK = { transport: "sse", blocked: 0 } as const;

describe("the way", () => {
  it.each([
    ["one failure is an accident", STRAIGHT, "blocked", { transport: "websocket", blocked: 1 }],
    ["two in a row are a network that blocks", { transport: "websocket", blocked: 1 }, "blocked", FALLBACK],
    ["a WebSocket that works says that nothing blocks", { transport: "websocket", blocked: 1 }, "answered", STRAIGHT],
    ["a fallback that works is kept", FALLBACK, "answered", FALLBACK],
    ["an answer that comes late changes nothing", FALLBACK, "blocked", FALLBACK],
    ["a fallback that fails is no better", FALLBACK, "failed", STRAIGHT],
    ["a WebSocket that works beside it is", FALLBACK, "opened", STRAIGHT],
  ] as const)("%s", (_, way, event, expected) => {
    expect(nextWay(way, event)).toEqual(expected);
  });
});

/** A connection in a network that lets HTTP through; `isBlocking` is for WebSockets. */
function inNetwork({ isHttpUp = true, ...options }: { isHttpUp?: boolean } & Parameters<typeof setUp>[0] = {}) {
  const world = setUp(options);
  const network = { isHttpUp, isBlocking: true };
  const wires = world.wires;
  world.platform.connectTo(
    (url) => {
      const socket = new Wire(url);
      wires.push(socket);
      if (network.isBlocking && url.startsWith("ws")) {
        world.platform.setTimeout(() => socket.lose(), 0);
      }
      return socket;
    },
    () => network.isHttpUp,
  );
  const ways = () => wires.map(({ url }) => (url.startsWith("ws") ? "websocket" : "sse"));
  const transport = () => world.connection.snapshot.getSnapshot().transport;
  return { ...world, network, ways, transport };
}

describe("a network that blocks WebSockets", () => {
  it("is got around at the third attempt", async () => {
    const { connection, platform, ways, newest, status, transport } = inNetwork();
    connection.need();
    await platform.advance(3_000);
    expect(ways()).toEqual(["websocket", "websocket", "sse"]);
    expect(newest().url).toBe("http://server/socket/sse?vsn=2.0.0&chorale=1&apikey=token");
    newest().open();
    expect([status(), transport()]).toEqual(["connected", "sse"]);
  });

  it("is not suspected while HTTP fails as well: a server that is down", async () => {
    const { connection, platform, ways, network } = inNetwork({ isHttpUp: false });
    connection.need();
    await platform.advance(60_000);
    expect(new Set(ways())).toEqual(new Set(["websocket"]));
    expect(ways().length).toBeGreaterThan(4);
    network.isHttpUp = true;
    await platform.advance(120_000);
    expect(ways()).toContain("sse");
  });

  it("is not suspected when the server has said why: a refusal is not a block", async () => {
    const { connection, platform, ways, newest, network } = inNetwork();
    network.isBlocking = false;
    connection.need();
    for (let i = 0; i < 8; i++) {
      await platform.advance(3_000);
      newest().lose(1012, "drainMs=1000");
    }
    expect(new Set(ways())).toEqual(new Set(["websocket"]));
  });

  it("is suspected when the handshake passes and no frame does", async () => {
    const { connection, platform, ways, newest, network } = inNetwork();
    network.isBlocking = false;
    connection.need();
    for (let i = 0; i < 2; i++) {
      await platform.advance(0);
      newest().onopen?.();
      await platform.advance(12_000);
    }
    expect(ways()).toEqual(["websocket", "websocket", "sse"]);
  });

  it("a fallback that fails as well is left for WebSockets", async () => {
    const { connection, platform, ways, newest } = inNetwork();
    connection.need();
    await platform.advance(3_000);
    newest().lose();
    await platform.advance(3_000);
    expect(ways().slice(0, 4)).toEqual(["websocket", "websocket", "sse", "websocket"]);
  });

  it("a fallback that worked is taken again when it is lost", async () => {
    const { connection, platform, ways, newest } = inNetwork();
    connection.need();
    await platform.advance(3_000);
    newest().open();
    newest().lose();
    await platform.advance(3_000);
    expect(ways()).toEqual(["websocket", "websocket", "sse", "sse"]);
  });

  it("a platform without a fallback goes on with WebSockets", async () => {
    const platform = { ...createFakePlatform(), loadFallback: undefined };
    const { connection, wires } = setUp({ platform });
    connection.need();
    for (let i = 0; i < 4; i++) {
      await platform.advance(4_000);
      wires.at(-1)?.lose();
    }
    expect(wires.every(({ url }) => url.startsWith("ws"))).toBe(true);
  });
});

describe("back to a WebSocket", () => {
  /** Connected over the fallback. */
  async function around(options: Parameters<typeof inNetwork>[0] = {}) {
    const world = inNetwork(options);
    const release = world.connection.need();
    await world.platform.advance(3_000);
    const sse = world.newest();
    sse.open();
    let ups = 0;
    let downs = 0;
    world.connection.onUp(() => ups++);
    world.connection.onDown(() => downs++);
    /** Lets time pass on a connection that is well. */
    const pass = async (ms: number) => {
      for (let left = ms; left > 0; left -= 5_000) {
        await world.platform.advance(Math.min(5_000, left));
        if (!sse.isClosed) sse.answer();
      }
    };
    return { ...world, sse, release, pass, moves: () => [downs, ups] };
  }

  it("is tried each minute, and moved to when the server answers over it; a person sees nothing of it", async () => {
    const { network, newest, pass, sse, status, transport, moves, ways, connection } = await around();
    const seen = new Set<string>();
    connection.snapshot.subscribe(() => seen.add(status()));
    await pass(125_000);
    expect(ways().slice(3)).toEqual(["websocket", "websocket"]);
    network.isBlocking = false;
    await pass(60_000);
    const socket = newest();
    socket.onopen?.();
    expect([transport(), moves()]).toEqual(["sse", [0, 0]]);
    socket.answer();
    expect([transport(), status(), moves()]).toEqual(["websocket", "connected", [1, 1]]);
    expect([sse.isClosed, socket.isClosed, [...seen]]).toEqual([true, false, ["connected"]]);
  });

  it.each(["online", "visible", "woken"] as const)("is tried at once when the page is told %s", async (hint) => {
    const { platform, ways, pass } = await around();
    await pass(10_000);
    if (hint === "online") platform.setOnline(true);
    if (hint === "visible") platform.setVisible(true);
    if (hint === "woken") platform.wake();
    await platform.advance(0);
    expect(ways().at(-1)).toBe("websocket");
  });

  it("waits for the answers that are under way, 5 s at most", async () => {
    for (const isAnswered of [true, false]) {
      const { network, connection, newest, pass, sse, transport, platform } = await around();
      network.isBlocking = false;
      await pass(60_000);
      const socket = newest();
      connection.push("realtime:room", "broadcast", "{}", "1", () => {});
      socket.onopen?.();
      socket.answer();
      expect(transport()).toBe("sse");
      await platform.advance(isAnswered ? 1_000 : 4_999);
      expect(transport()).toBe("sse");
      if (isAnswered) sse.answer();
      await platform.advance(isAnswered ? 100 : 1);
      expect(transport()).toBe("websocket");
    }
  });

  it("one that is swallowed is given up after 10 s, and nothing is left of it", async () => {
    const { network, newest, pass, platform, transport, release, live } = await around();
    network.isBlocking = false;
    await pass(60_000);
    newest().onopen?.();
    await pass(10_000);
    expect([newest().isClosed, transport()]).toEqual([true, "sse"]);
    release();
    expect([live().length, platform.timers]).toEqual([0, 0]);
  });

  it("one that dies while answers are waited for is forgotten, and tried again", async () => {
    const { network, connection, newest, pass, transport, ways } = await around();
    network.isBlocking = false;
    await pass(60_000);
    const socket = newest();
    connection.push("realtime:room", "broadcast", "{}", "1", () => {});
    socket.onopen?.();
    socket.answer();
    socket.lose();
    const before = ways().length;
    await pass(65_000);
    expect([transport(), ways().length]).toEqual(["sse", before + 1]);
  });

  it("ends with the connection, tried or found", async () => {
    for (const isFound of [true, false]) {
      const { network, connection, newest, pass, platform, release, live } = await around();
      network.isBlocking = false;
      await pass(60_000);
      connection.push("realtime:room", "broadcast", "{}", "1", () => {});
      newest().onopen?.();
      if (isFound) newest().answer();
      release();
      expect([isFound, live().length, platform.timers]).toEqual([isFound, 0, 0]);
    }
  });

  it("heartbeats go on after the move, and the token is replaced before it expires", async () => {
    const platform = createFakePlatform();
    let calls = 0;
    const getToken = () => jwt({ exp: Math.floor(platform.now() / 1000) + 120, jti: ++calls });
    const { network, newest, pass, tokens, wires } = await around({ platform, getToken });
    network.isBlocking = false;
    await pass(60_000);
    newest().onopen?.();
    newest().answer();
    const sockets = wires.length;
    for (let beat = 0; beat < 6; beat++) {
      const before = newest().sent.length;
      await platform.advance(15_000);
      expect(newest().sent.length).toBe(before + 1);
      newest().answer();
    }
    expect([wires.length, calls, tokens.length > 0]).toEqual([sockets, 2, true]);
  });
});

describe("whatever happens", () => {
  it("there are two live sockets at most, one of them being tried, and nothing is left behind", async () => {
    const act = fc.constantFrom(
      ...["need", "release", "answer", "lose", "refuse", "block", "unblock", "httpDown", "httpUp"],
      ...["push", "second", "minute", "online", "woken", "reconnect"],
    );
    await fc.assert(
      fc.asyncProperty(fc.array(act, { minLength: 20, maxLength: 120 }), async (acts) => {
        const { connection, platform, network, live, newest, wires, status } = inNetwork();
        const releases = [connection.need()];
        for (const what of acts) {
          if (what === "need") releases.push(connection.need());
          if (what === "release") releases.pop()?.();
          for (const wire of what === "answer" ? live() : []) {
            wire.onopen?.();
            wire.answer();
          }
          if (what === "lose" && wires.length > 0) newest().lose();
          if (what === "refuse" && wires.length > 0) newest().lose(4101);
          if (what === "block" || what === "unblock") network.isBlocking = what === "block";
          if (what === "httpDown" || what === "httpUp") network.isHttpUp = what === "httpUp";
          if (what === "push") connection.push("realtime:room", "broadcast", "{}", "1", () => {});
          if (what === "second") await platform.advance(1_000);
          if (what === "minute") await platform.advance(60_000);
          if (what === "online") platform.setOnline(true);
          if (what === "woken") platform.wake();
          if (what === "reconnect") connection.reconnect();
          await platform.advance(0);
          expect(live().length).toBeLessThanOrEqual(2);
        }
        // With a network that is well it connects, over whatever it was at.
        Object.assign(network, { isBlocking: false, isHttpUp: true });
        connection.need();
        for (let i = 0; i < 20 && status() !== "connected"; i++) {
          connection.reconnect();
          await platform.advance(40_000);
          if (live().length > 0) newest().open();
        }
        expect(status()).toBe("connected");
        connection.close();
        await platform.advance(20_000);
        expect([live().length, platform.timers, platform.errors]).toEqual([0, 0, []]);
      }),
      { numRuns: 150 },
    );
  });
});

describe("channels", () => {
  it("[R1] [R3] [H5] resume on the other transport: everything is heard once, in order", async () => {
    const { server, platform, heard, room, client, channel } = await inRoom();
    const transport = () => client.connection.getSnapshot().transport;
    const texts = () => heard.map(({ payload }) => (payload as { n: number }).n);
    const say = (n: number) => room.broadcast("chat", { n });
    say(1);
    await platform.advance(10);
    server.blockWebSockets(true);
    server.kill();
    say(2);
    await platform.advance(4_000);
    expect([transport(), channel.status.getSnapshot().status]).toEqual(["sse", "joined"]);
    say(3);
    await platform.advance(10);
    server.blockWebSockets(false);
    for (let n = 4; n < 14; n++) {
      say(n);
      await platform.advance(7_000);
    }
    expect([transport(), channel.status.getSnapshot().status]).toEqual(["websocket", "joined"]);
    expect(texts()).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]);
    expect(platform.errors).toEqual([]);
  });

  it("[R4] [R6] writes are applied once, whichever transport they were sent over", async () => {
    const { server, platform, client } = setUpRoom();
    server.blockWebSockets(true);
    const ada = client("ada");
    const notes = ada.channels.getChannel({ name: "room" }).collection<{ n: number }>("notes");
    const made: Promise<unknown>[] = [];
    for (let n = 0; n < 20; n++) {
      if (n === 10) server.blockWebSockets(false);
      made.push(notes.add({ n }).settled);
      await platform.advance(6_500);
    }
    await platform.advance(1_000);
    expect((await Promise.all(made)).map((outcome) => (outcome as { status: string }).status)).toEqual(
      Array(20).fill("applied"),
    );
    expect(notes.snapshot.getSnapshot().records.map(({ n }) => n)).toEqual([...Array(20).keys()]);
    expect([ada.connection.getSnapshot().transport, ada.pendingCount.getSnapshot()]).toEqual(["websocket", 0]);
    expect(server.sockets).toBe(1);
  });

  it("a client that is closed leaves nothing, whichever way it went", async () => {
    const { server, platform } = setUpRoom();
    server.blockWebSockets(true);
    const client = createRealtimeClient({ url: "http://fake", getToken: () => server.token("ada"), platform });
    client.retain();
    await platform.advance(4_000);
    expect(client.connection.getSnapshot().transport).toBe("sse");
    client.close();
    await platform.advance(0);
    expect([server.sockets, platform.timers]).toEqual([0, 0]);
  });
});
