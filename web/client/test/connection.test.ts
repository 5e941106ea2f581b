import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { endpointOf } from "../src/connection";
import { ChoraleError } from "../src/errors";
import { createFakePlatform } from "../src/testing/platform";
import { jwt, setUp } from "./wire";

/** Connected, with nothing in flight. */
async function connected(options: Parameters<typeof setUp>[0] = {}) {
  const world = setUp(options);
  const release = world.connection.need();
  await world.platform.advance(0);
  world.newest().open();
  return { ...world, release };
}

describe("connection", () => {
  it("is made when somebody needs it, and ended when nobody does", async () => {
    const { connection, wires, newest, platform, status, release } = await connected();
    expect([wires.length, status()]).toEqual([1, "connected"]);
    const second = connection.need();
    release();
    release();
    expect(status()).toBe("connected");
    second();
    expect([status(), newest().isClosed, platform.timers]).toEqual(["idle", true, 0]);
  });

  it("counts as open from the server's first frame on, because a refusal comes right behind the upgrade (C1)", async () => {
    const { connection, newest, platform, status } = setUp();
    connection.need();
    await platform.advance(0);
    newest().onopen?.();
    expect(status()).toBe("connecting");
    newest().answer();
    expect(status()).toBe("connected");
  });

  it("[C2] heartbeats every 15 s and measures the round trip", async () => {
    const { connection, newest, platform } = await connected();
    const before = newest().sent.length;
    await platform.advance(15_000);
    expect(newest().sent.length).toBe(before + 1);
    await platform.advance(40);
    newest().answer();
    expect(connection.snapshot.getSnapshot().latencyMs).toBe(40);
  });

  it("[trap 21] finds a half-open socket within 25 s of its last sign of life", async () => {
    for (const lastSignAfterMs of [0, 1, 7_000, 14_999, 15_000, 29_999]) {
      const { newest, platform, status } = await connected();
      const first = newest();
      for (let left = lastSignAfterMs; left > 0; left -= 1_000) {
        await platform.advance(Math.min(1_000, left));
        first.say('[null,null,"realtime:x","broadcast",{}]');
      }
      await platform.advance(25_000);
      expect([lastSignAfterMs, first.isClosed, status()]).toEqual([lastSignAfterMs, true, "reconnecting"]);
    }
  });

  it("[trap 14] finds it also when the wall clock goes back an hour meanwhile", async () => {
    const { newest, platform, status } = await connected();
    platform.jump(-3_600_000);
    await platform.advance(25_000);
    expect([newest().isClosed, status()]).toEqual([true, "reconnecting"]);
  });

  it("[trap 22] lives through half an hour in a hidden tab, whose timers run once a minute, a worker's too", async () => {
    const throttled = createFakePlatform();
    const timers = {
      setTimeout: (fn: () => void, ms: number) => throttled.setTimeout(fn, Math.ceil(ms / 60_000) * 60_000),
      clearTimeout: throttled.clearTimeout,
    };
    const platform = { ...throttled, ...timers, steady: timers };
    const { newest, wires, status } = await connected({ platform });
    for (let minute = 0; minute < 30; minute++) {
      const before = newest().sent.length;
      await throttled.advance(60_000);
      if (newest().sent.length > before) newest().answer();
    }
    expect([wires.length, status()]).toEqual([1, "connected"]);
  });

  it("[trap 27] asks the socket when the machine woke up, and gives it up when it says nothing for 2.5 s", async () => {
    const { newest, platform, status } = await connected();
    await platform.advance(1_000);
    const before = newest().sent.length;
    platform.wake();
    expect(newest().sent.length).toBe(before + 1);
    await platform.advance(2_499);
    expect(status()).toBe("connected");
    await platform.advance(1);
    expect(status()).toBe("reconnecting");
  });

  it("[trap 21] the browser's word that it is offline cuts the wait for an answer short, and its repetition does not prolong it", async () => {
    const { connection, newest, platform, status } = await connected();
    await platform.advance(15_000); // a heartbeat is on its way
    platform.setOnline(false);
    await platform.advance(2_000);
    connection.reconnect();
    expect(status()).toBe("connected");
    await platform.advance(500);
    expect([newest().isClosed, status()]).toEqual([true, "offline"]);
  });

  it("[trap 21] a socket that answers is kept, whatever the browser says of the network", async () => {
    const { newest, platform, status, wires } = await connected();
    platform.setOnline(false);
    newest().answer();
    await platform.advance(12_000);
    expect([wires.length, status()]).toEqual([1, "connected"]);
  });

  it("tries again at once, or nearly, when the network is back", async () => {
    const { newest, platform, status, wires } = await connected();
    platform.setOnline(false);
    for (let i = 0; i < 8; i++) {
      newest().lose();
      await platform.advance(31_000);
    }
    newest().lose();
    expect(status()).toBe("offline");
    const before = wires.length;
    platform.setOnline(true);
    await platform.advance(500);
    expect(wires.length).toBe(before + 1);
  });

  it("gives up a server that does not answer the handshake within 10 s", async () => {
    const { connection, newest, platform, wires } = setUp();
    connection.need();
    await platform.advance(10_000);
    expect(newest().isClosed).toBe(true);
    await platform.advance(1_000);
    expect(wires.length).toBe(2);
  });

  it("[trap 24] keeps spacing out attempts against a server that accepts and hangs up", async () => {
    const { connection, platform, wires } = setUp();
    connection.need();
    const times: number[] = [];
    for (let i = 0; i < 50; i++) {
      const count = wires.length;
      while (wires.length === count) await platform.advance(50);
      times.push(platform.now());
      wires.at(-1)?.open();
      wires.at(-1)?.lose();
    }
    const gaps = times.slice(1).map((time, i) => time - (times[i] ?? 0));
    const late = gaps.slice(-30);
    expect(late.reduce((sum, gap) => sum + gap, 0) / late.length).toBeGreaterThan(8_000);
    expect(connection.snapshot.getSnapshot().attempt).toBe(50);
  });

  it("[trap 24] forgets attempts after 10 s that were stable", async () => {
    const { connection, newest, platform } = await connected();
    newest().lose();
    await platform.advance(1_000);
    newest().open();
    await platform.advance(9_999);
    expect(connection.snapshot.getSnapshot().attempt).toBe(1);
    await platform.advance(1);
    expect(connection.snapshot.getSnapshot().attempt).toBe(0);
  });

  it("[trap 10] ignores what a socket says or does after another took its place", async () => {
    const { connection, newest, platform, status, wires } = await connected();
    const frames: string[] = [];
    connection.onFrame((frame) => frames.push(frame.event));
    const zombie = newest();
    const { onmessage, onclose, onopen } = zombie;
    await platform.advance(25_000);
    await platform.advance(1_000);
    newest().open();
    expect([wires.length, status()]).toEqual([2, "connected"]);
    onopen?.();
    onmessage?.('[null,null,"realtime:x","broadcast",{}]');
    onclose?.(4000, "late");
    expect([frames, status(), wires.length]).toEqual([[], "connected", 2]);
  });

  it("opens no socket when a listener closes the client while it connects", async () => {
    const { connection, platform, wires } = setUp();
    connection.snapshot.subscribe(() => {
      if (connection.snapshot.getSnapshot().status === "connecting") connection.close();
    });
    connection.need();
    await platform.advance(60_000);
    expect([wires.filter((wire) => !wire.isClosed).length, platform.timers]).toEqual([0, 0]);
  });

  it("a blip of less than 5 s keeps isConnected", async () => {
    const { connection, newest, platform, wires } = await connected();
    const shown: boolean[] = [];
    connection.snapshot.subscribe(() => shown.push(connection.snapshot.getSnapshot().isConnected));
    newest().lose();
    platform.jump(-60_000);
    await platform.advance(1_000);
    newest().open();
    expect(new Set(shown)).toEqual(new Set([true]));
    newest().lose();
    await platform.advance(4_999);
    expect(connection.snapshot.getSnapshot().isConnected).toBe(true);
    await platform.advance(1);
    expect(connection.snapshot.getSnapshot().isConnected).toBe(false);
    expect(wires.length).toBeGreaterThan(2);
  });

  it("a frame that cannot be decoded is reported, and the next one is delivered (F5)", async () => {
    const { connection, newest, platform, status } = await connected();
    const frames: string[] = [];
    connection.onFrame((frame) => frames.push(frame.event));
    for (const bad of ["", "{", "null", "[]", "[1,2,3,4,5]"]) newest().say(bad);
    newest().say('[null,null,"realtime:x","broadcast",{}]');
    expect([frames, status(), platform.errors.length]).toEqual([["broadcast"], "connected", 5]);
  });

  it("a reply that is due when the connection ends never comes", async () => {
    const { connection, newest, platform } = await connected();
    const replies: unknown[] = [];
    const ref = connection.push("realtime:x", "broadcast", "{}", "1", (reply) => replies.push(reply));
    newest().lose();
    expect(connection.push("realtime:x", "broadcast", "{}", "1")).toBeUndefined();
    await platform.advance(1_000);
    newest().open();
    newest().say(`[null,"${ref}","realtime:x","phx_reply",{"status":"ok","response":{}}]`);
    expect(replies).toEqual([]);
  });

  it("a platform without WebSocket fails with the reason, and reconnect tries again", async () => {
    const { connection, platform, status } = setUp();
    platform.connectTo(() => {
      throw new Error("This platform has no WebSocket");
    });
    connection.need();
    await platform.advance(60_000);
    expect([status(), connection.snapshot.getSnapshot().error?.message]).toEqual(["failed", "This platform has no WebSocket"]);
  });

  it.each([
    ["http://h:4000", "ws://h:4000/socket/websocket?vsn=2.0.0&chorale=1"],
    ["https://h/", "wss://h/socket/websocket?vsn=2.0.0&chorale=1"],
    ["wss://h/base/socket", "wss://h/base/socket/websocket?vsn=2.0.0&chorale=1"],
    ["ws://h/socket/websocket/", "ws://h/socket/websocket?vsn=2.0.0&chorale=1"],
  ])("the address of %s is %s", (url, endpoint) => {
    expect(endpointOf(url)).toBe(endpoint);
  });

  it("whatever happens, there is one live socket at most, and always something that will go on", async () => {
    const act = fc.constantFrom(
      "need",
      "release",
      "open",
      "lose",
      "refuse",
      "fatal",
      "drain",
      "beat",
      "wake",
      "online",
      "reconnect",
      "tokenFails",
      "tokenHangs",
      "tokenEnds",
      "second",
      "minute",
    );
    await fc.assert(
      fc.asyncProperty(fc.array(act, { maxLength: 40 }), fc.nat(), async (acts, seed) => {
        let tokenMode = "good";
        const platform = createFakePlatform({ seed });
        const getToken = () => {
          const mode = tokenMode;
          tokenMode = "good";
          if (mode === "fails") throw new Error("no token");
          if (mode === "ends") throw new ChoraleError("signed_out", "sign in");
          return mode === "hangs" ? new Promise<string>(() => {}) : "token";
        };
        const { connection, wires, live, status } = setUp({ platform, getToken });
        const held: (() => void)[] = [];
        for (const name of acts) {
          const wire = live()[0];
          if (name === "need") held.push(connection.need());
          if (name === "release") held.pop()?.();
          if (name === "open") wire?.open();
          if (name === "beat") wire?.say('[null,null,"t","e",{}]');
          if (name === "lose") wire?.lose();
          if (name === "refuse") wire?.lose(4101);
          if (name === "fatal") wire?.lose(4003);
          if (name === "drain") wire?.lose(1012, "drainMs=3000");
          if (name === "wake") platform.wake();
          if (name === "online") platform.setOnline(!platform.isOnline());
          if (name === "reconnect") connection.reconnect();
          if (name === "tokenFails") tokenMode = "fails";
          if (name === "tokenHangs") tokenMode = "hangs";
          if (name === "tokenEnds") tokenMode = "ends";
          await platform.advance(name === "minute" ? 60_000 : name === "second" ? 1_000 : 0);
          expect(live().length).toBeLessThanOrEqual(1);
          if (held.length === 0) expect([status(), live().length]).toEqual(["idle", 0]);
          else if (status() !== "failed" && status() !== "needs-auth") expect(platform.timers).toBeGreaterThan(0);
        }
        connection.close();
        await platform.advance(60_000);
        expect([live().length, platform.timers, status()]).toEqual([0, 0, "closed"]);
        expect(wires.every((wire) => wire.isClosed)).toBe(true);
        expect(platform.errors).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });
});

describe("tokens", () => {
  it("[trap 25] a getToken that rejects is asked again, ever more slowly, and never given up", async () => {
    const { connection, asked, platform, status } = setUp({ getToken: () => Promise.reject(new Error("offline")) });
    connection.need();
    await platform.advance(600_000);
    expect(asked.length).toBeGreaterThan(20);
    expect(asked.length).toBeLessThan(80);
    expect(status()).toBe("reconnecting");
    expect(connection.snapshot.getSnapshot().error?.message).toBe("offline");
  });

  it("[trap 25] a getToken that hangs is given up after 10 s, and what it answers then is not used", async () => {
    let answerLate: (token: string) => void = () => {};
    let calls = 0;
    const getToken = () =>
      ++calls === 1
        ? new Promise<string>((resolve) => {
            answerLate = resolve;
          })
        : "second";
    const { connection, platform, newest, wires } = setUp({ getToken });
    connection.need();
    await platform.advance(10_000);
    expect(connection.snapshot.getSnapshot().error?.code).toBe("token_unavailable");
    await platform.advance(1_000);
    expect(newest().url).toContain("apikey=second");
    answerLate("first");
    await platform.advance(0);
    expect(wires.length).toBe(1);
  });

  it("[trap 25] a token that comes after nobody needs it any more opens nothing", async () => {
    let answer: (token: string) => void = () => {};
    const { connection, platform, wires } = setUp({
      getToken: () =>
        new Promise((resolve) => {
          answer = resolve;
        }),
    });
    const release = connection.need();
    await platform.advance(0);
    release();
    answer("late");
    await platform.advance(20_000);
    expect([wires.length, platform.timers]).toEqual([0, 0]);
  });

  it("[C1] 4101 fetches a new token once; refused again it needs a person, and reconnect() asks anew", async () => {
    let calls = 0;
    const { connection, platform, newest, status, wires } = setUp({ getToken: () => `t${++calls}` });
    connection.need();
    await platform.advance(0);
    newest().lose(4101, "token refused");
    await platform.advance(250);
    expect(newest().url).toContain("apikey=t2");
    newest().lose(4101, "token refused");
    await platform.advance(600_000);
    expect([status(), wires.length, calls]).toEqual(["needs-auth", 2, 2]);
    expect(connection.snapshot.getSnapshot().error).toMatchObject({ code: "close_4101", message: "token refused" });
    connection.reconnect();
    await platform.advance(0);
    expect(newest().url).toContain("apikey=t3");
    newest().open();
    expect(status()).toBe("connected");
  });

  it("[trap 25] is replaced before it expires, without a reconnect", async () => {
    const platform = createFakePlatform();
    let calls = 0;
    const getToken = () => jwt({ exp: Math.floor(platform.now() / 1000) + 600, jti: ++calls });
    const { tokens, wires, status } = await connected({ platform, getToken });
    for (let beat = 0; beat < 36; beat++) {
      await platform.advance(15_000);
      wires[0]?.answer();
    }
    expect([calls, tokens.length, wires.length, status()]).toEqual([2, 2, 1, "connected"]);
  });

  it("a refresh that fails is tried again, and the connection stays", async () => {
    const platform = createFakePlatform();
    let calls = 0;
    const getToken = () => {
      if (++calls > 1 && calls < 4) throw new Error("auth is down");
      return jwt({ exp: Math.floor(platform.now() / 1000) + 100, jti: calls });
    };
    const { tokens, wires, status } = await connected({ platform, getToken });
    for (let beat = 0; beat < 6; beat++) {
      await platform.advance(15_000);
      wires[0]?.answer();
    }
    expect([calls, tokens.length, status(), platform.errors.length]).toEqual([4, 2, "connected", 2]);
  });

  it("[trap 25] the same token again is not asked for in a loop", async () => {
    const platform = createFakePlatform();
    const token = jwt({ exp: Math.floor(platform.now() / 1000) + 60 });
    const { asked, wires } = await connected({ platform, getToken: () => token });
    for (let beat = 0; beat < 40; beat++) {
      await platform.advance(15_000);
      wires[0]?.answer();
    }
    expect(asked.length).toBeLessThan(15);
  });

  it("a clock that is two hours ahead does not make every token look expired", async () => {
    const platform = createFakePlatform();
    platform.jump(7_200_000);
    const getToken = () => jwt({ exp: Math.floor((platform.now() - 7_200_000) / 1000) + 3_600 });
    const { asked, newest, wires } = await connected({ platform, getToken });
    newest().lose();
    await platform.advance(1_000);
    newest().open();
    expect([asked.length, wires.length]).toEqual([1, 2]);
  });

  it("those who ask at once share one token", async () => {
    let calls = 0;
    const { connection, platform } = setUp({ getToken: async () => `t${++calls}` });
    connection.need();
    await platform.advance(0);
    connection.reconnect();
    await platform.advance(0);
    expect(calls).toBe(1);
  });
});
