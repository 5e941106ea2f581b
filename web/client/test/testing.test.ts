/** The fake server is what other tests stand on, so it is held to the protocol itself. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createFakePlatform, createFakeServer, type FakeRules } from "../src/testing";
import { decodeToken, encodeToken } from "../src/testing/token";

type Text = readonly [
  joinRef: string | null,
  ref: string | null,
  topic: string,
  event: string,
  payload: Record<string, unknown>,
];

const CHANNEL = "interview:42";
const TOPIC = `realtime:${CHANNEL}`;

function setUp(rules: FakeRules = {}) {
  const platform = createFakePlatform();
  const server = createFakeServer({ platform, rules });
  const dial = (sub: string, token = server.token(sub)) => {
    const socket = platform.openSocket(`ws://fake/socket/websocket?apikey=${token}`);
    const got: Text[] = [];
    const closed: number[] = [];
    let refs = 0;
    socket.onmessage = (data) => got.push(JSON.parse(data));
    socket.onclose = (code) => closed.push(code);
    const push = (event: string, payload: unknown, joinRef: string | null = "j") =>
      socket.send(JSON.stringify([joinRef, `${++refs}`, TOPIC, event, payload]));
    const join = (chorale: object = {}, rest: object = {}) =>
      push("phx_join", {
        config: {
          ...{ broadcast: { ack: true, self: false }, presence: { key: sub, enabled: true } },
          ...{ chorale: { v: 1, client: `client-of-${sub}`, collections: ["notes"], ...chorale }, ...rest },
        },
      });
    const mutate = (n: number, rest: object = {}) =>
      push("mutate", {
        ...{ client: `client-of-${sub}`, n, id: `${sub}-${n}`, at: "0192f0c12b3c0003", base: 0, op: "put" },
        ...{ collection: "notes", record: `r${n}`, fields: { content: "x" }, ...rest },
      });
    const events = () => got.map(([, , , event]) => event);
    const last = () => got.at(-1)?.[4];
    return { socket, got, closed, push, join, mutate, events, last };
  };
  return { platform, server, dial };
}

describe("The fake server", () => {
  it("[J1] answers a join, tells the past in its order, and then is live", async () => {
    const { platform, server, dial } = setUp();
    const ada = dial("ada");
    ada.join();
    ada.mutate(1);
    ada.push("broadcast", { type: "broadcast", event: "wave", payload: 1, meta: { id: "m1" } });
    await platform.advance(0);
    const ben = dial("ben");
    ben.join({ resume: { epoch: server.channel(CHANNEL).position.epoch, offset: 0 } });
    await platform.advance(0);
    expect(ben.events()).toEqual(["phx_reply", "presence_state", "records", "broadcast", "synced"]);
    expect(ben.got[0]?.[4]).toMatchObject({
      status: "ok",
      response: { chorale: { v: 1, offset: 2, resumed: true, sub: "ben", collections: ["notes"], now: platform.now() } },
    });
    expect(ben.got[3]?.[4]).toMatchObject({ event: "wave", meta: { id: "m1", offset: 2, replayed: true } });
    expect(ben.last()).toEqual({ epoch: server.channel(CHANNEL).position.epoch, offset: 2, last: 0, outcomes: [] });
  });

  it("[J2 F6] a second join ends the first with phx_close", async () => {
    const { platform, server, dial } = setUp();
    const ada = dial("ada");
    ada.join();
    ada.join();
    await platform.advance(0);
    expect(ada.got.find(([, , , event]) => event === "phx_close")?.slice(0, 2)).toEqual(["j", "j"]);
    expect(server.channel(CHANNEL).memberCount).toBe(1);
  });

  it("[J3 J4] refuses unknown collections and whoever the rules refuse; the socket stays", async () => {
    const { platform, dial } = setUp({
      collections: () => ["notes"],
      join: ({ sub }) => (sub === "eve" ? { code: "unauthorized", message: "no", retryable: false } : undefined),
    });
    const [ada, eve] = [dial("ada"), dial("eve")];
    ada.join({ collections: ["notes", "secrets"] });
    eve.join();
    await platform.advance(0);
    expect(ada.last()).toMatchObject({ status: "error", response: { code: "unknown_collection", retryable: false } });
    expect(eve.last()).toMatchObject({ status: "error", response: { code: "unauthorized" } });
    expect([...ada.closed, ...eve.closed]).toEqual([]);
  });

  it("[M1] counts mutations per client: repeats, gaps, strangers, and owners", async () => {
    const { platform, dial } = setUp();
    const [ada, ben] = [dial("ada"), dial("ben")];
    ada.join();
    ben.join();
    await platform.advance(0);
    const answer = async (mutate: () => void, who = ada) => {
      mutate();
      await platform.advance(0);
      return who.last();
    };
    expect(await answer(() => ada.mutate(2))).toMatchObject({ response: { code: "client_unknown", retryable: false } });
    expect(await answer(() => ada.mutate(1))).toMatchObject({ response: { n: 1, offset: 1, status: "applied" } });
    expect(await answer(() => ada.mutate(1))).toMatchObject({
      response: { n: 1, offset: 1, status: "applied", duplicate: true },
    });
    expect(await answer(() => ada.mutate(3))).toMatchObject({ response: { code: "out_of_order", retryable: true, expect: 2 } });
    expect(await answer(() => ben.mutate(2, { client: "client-of-ada" }), ben)).toMatchObject({
      response: { code: "forbidden_client" },
    });
    for (let n = 2; n <= 70; n++) ada.mutate(n);
    expect(await answer(() => ada.mutate(1))).toMatchObject({ response: { status: "unknown", duplicate: true } });
  });

  it("[M1 M7] hands the change over before the answer, to its author as well", async () => {
    const { platform, dial } = setUp();
    const ada = dial("ada");
    ada.join();
    ada.mutate(1);
    ada.mutate(2, { op: "patch", record: "r1", fields: { content: "y" }, sets: { tags: { a: true } }, counters: { votes: 2 } });
    await platform.advance(0);
    expect(ada.events().slice(-4)).toEqual(["change", "phx_reply", "change", "phx_reply"]);
    expect(ada.got.at(-2)?.[4]).toMatchObject({
      ...{ offset: 2, op: "patch", status: "applied", client: "client-of-ada", n: 2, by: "ada" },
      ...{ fields: { content: "y" }, sets: { tags: { a: true } }, counters: { votes: 2 } },
      stamp: "0192f0c12b3c0003@client-of-ada",
    });
  });

  it("[M4 M5 M8] rejects by version and by rule, keeps the number, and tells the author alone", async () => {
    const { platform, dial } = setUp({
      write: (_who, _channel, { fields }) =>
        fields.content === "bad" ? { code: "schema_violation", message: "no" } : undefined,
    });
    const [ada, ben] = [dial("ada"), dial("ben")];
    ada.join();
    ben.join();
    ada.mutate(1);
    ada.mutate(2, { record: "r1", op: "patch", ifVersion: 7 });
    ada.mutate(3, { fields: { content: "bad" } });
    ada.mutate(4);
    await platform.advance(0);
    const answers = ada.got.filter(([, , , event]) => event === "phx_reply").slice(1);
    expect(answers.map(([, , , , payload]) => payload.response)).toMatchObject([
      { n: 1, status: "applied" },
      { n: 2, status: "rejected", error: { code: "version_conflict" }, record: { id: "r1", version: 1 } },
      { n: 3, status: "rejected", error: { code: "schema_violation" } },
      { n: 4, offset: 4, status: "applied" },
    ]);
    expect(ben.events().filter((event) => event === "change")).toHaveLength(2);
  });

  it("[B2 B3 B4 B5] logs a message once, acknowledges it, and does not log ephemeral ones", async () => {
    const { platform, server, dial } = setUp();
    const [ada, ben] = [dial("ada"), dial("ben")];
    ada.join();
    ben.join();
    await platform.advance(0);
    const message = { type: "broadcast", event: "wave", payload: 1, meta: { id: "m1" } };
    ada.push("broadcast", message);
    ada.push("broadcast", message);
    ada.push("broadcast", { ...message, meta: { id: "m2", ephemeral: true } });
    await platform.advance(0);
    expect(ada.got.slice(-3).map(([, , , , payload]) => payload.response)).toEqual([
      { id: "m1", offset: 1 },
      { id: "m1", offset: 1 },
      {},
    ]);
    const heard = ben.got.filter(([, , , event]) => event === "broadcast").map(([, , , , payload]) => payload.meta);
    expect(heard).toEqual([{ id: "m1", offset: 1 }, { id: "m2" }]);
    expect(server.channel(CHANNEL).position.offset).toBe(1);
  });

  it("[P1 P2 P3] repeats the phx_ref of a track in its leave, and ends it with the socket", async () => {
    const { platform, server, dial } = setUp();
    const [ada, ben] = [dial("ada"), dial("ben")];
    ada.join();
    ben.join();
    ada.push("presence", { type: "presence", event: "track", payload: { at: 1 } });
    ada.push("presence", { type: "presence", event: "track", payload: { at: 2 } });
    await platform.advance(0);
    ada.socket.close();
    await platform.advance(0);
    const diffs = ben.got.filter(([, , , event]) => event === "presence_diff").map(([, , , , payload]) => payload);
    expect(diffs).toMatchObject([
      { joins: { ada: { metas: [{ at: 1, phx_ref: "ref-1" }] } }, leaves: {} },
      { joins: { ada: { metas: [{ at: 2, phx_ref_prev: "ref-1" }] } }, leaves: { ada: { metas: [{ phx_ref: "ref-1" }] } } },
      { joins: {}, leaves: { ada: { metas: [{ phx_ref: "ref-2" }] } } },
    ]);
    expect(server.sockets).toBe(1);
  });

  it("[S1 S2] knows why a position cannot be gone on from", async () => {
    const { server } = setUp();
    const room = server.channel(CHANNEL);
    const { epoch } = room.position;
    const restore = room.backup();
    room.broadcast("wave", 1);
    room.broadcast("wave", 2);
    expect(room.resume(undefined)).toEqual({ resumed: false, reason: "new" });
    expect(room.resume({ epoch: "other", offset: 1 })).toEqual({ resumed: false, reason: "epoch" });
    expect(room.resume({ epoch, offset: 1 })).toEqual({ resumed: true });
    room.truncate();
    expect(room.resume({ epoch, offset: 1 })).toEqual({ resumed: false, reason: "truncated" });
    expect(room.resume({ epoch, offset: 2 })).toEqual({ resumed: true });
    restore();
    expect(room.resume({ epoch, offset: 1 })).toEqual({ resumed: false, reason: "future" });
  });

  it("[S3] tells what has changed since a position, tombstones included, in pages", async () => {
    const { platform, server, dial } = setUp();
    const ada = dial("ada");
    ada.join();
    for (let n = 1; n <= 600; n++) ada.mutate(n);
    ada.mutate(601, { op: "delete", record: "r1", fields: {} });
    await platform.advance(0);
    const pagesOf = async (who: ReturnType<typeof dial>, chorale: object) => {
      who.join(chorale);
      await platform.advance(0);
      const pages = who.got.filter(([, , , event]) => event === "records").map(([, , , , payload]) => payload);
      return pages.map(({ reset, more, records }) => [reset, more, (records as unknown[]).length]);
    };
    expect(await pagesOf(dial("ben"), {})).toEqual([
      [true, true, 500],
      [false, false, 99],
    ]);
    const { epoch } = server.channel(CHANNEL).position;
    expect(await pagesOf(dial("eve"), { resume: { epoch, offset: 599 } })).toEqual([[false, false, 2]]);
  });

  it("[C1] takes the socket and closes it with 4101 when the token is no good", async () => {
    const { platform, server, dial } = setUp();
    const expired = dial("ada", server.token("ada", { ttlMs: -1_000 }));
    const junk = dial("ada", "junk");
    await platform.advance(0);
    server.refuseTokens(true);
    const refused = dial("ada");
    await platform.advance(0);
    expect([expired.closed, junk.closed, refused.closed]).toEqual([[4101], [4101], [4101]]);
  });

  it("ends a channel whose token has expired, unless it was replaced", async () => {
    const { platform, server, dial } = setUp();
    const [ada, ben] = ["ada", "ben"].map((sub) => dial(sub, server.token(sub, { ttlMs: 10_000 })));
    ada?.join();
    ben?.join();
    await platform.advance(5_000);
    ben?.push("access_token", { access_token: server.token("ben") });
    await platform.advance(6_000);
    expect(ada?.events().slice(-2)).toEqual(["system", "phx_close"]);
    expect(ben?.events()).not.toContain("phx_close");
  });

  it("drops, delays and doubles frames, holds them, swallows them, and breaks connections", async () => {
    const { platform, server, dial } = setUp();
    const ada = dial("ada");
    ada.join();
    await platform.advance(0);
    const waves = () => ada.events().filter((event) => event === "broadcast").length;
    const wave = async (ms = 0) => {
      server.channel(CHANNEL).broadcast("wave", 1);
      await platform.advance(ms);
      return waves();
    };
    const stopDrop = server.intercept(() => "drop");
    expect(await wave()).toBe(0);
    stopDrop();
    const stopTwice = server.intercept(() => "twice");
    expect(await wave()).toBe(2);
    stopTwice();
    const stopDelay = server.intercept(() => ({ delayMs: 50 }));
    expect(await wave(49)).toBe(2);
    stopDelay();
    expect(await wave()).toBe(3);
    await platform.advance(1);
    expect(waves()).toBe(4);
    server.pause();
    expect(await wave()).toBe(4);
    server.resume();
    await platform.advance(0);
    expect(waves()).toBe(5);
    server.blackHole(true);
    expect(await wave()).toBe(5);
    server.blackHole(false);
    server.restart();
    await platform.advance(0);
    expect(ada.closed).toEqual([1012]);
    server.unreachable(true);
    const late = dial("ada");
    await platform.advance(0);
    expect(late.closed).toEqual([1006]);
    expect(server.sockets).toBe(0);
  });
});

it("what waited for a paused network is not overtaken by what was on its way when that resumed", async () => {
  const platform = createFakePlatform();
  const server = createFakeServer({ platform, latencyMs: 10 });
  const socket = platform.openSocket(`ws://fake/socket/websocket?apikey=${server.token("ada")}`);
  const got: number[] = [];
  socket.onmessage = (data) => {
    const [, , , event, payload] = JSON.parse(data);
    if (event === "broadcast") got.push(payload.payload);
  };
  await platform.advance(10);
  socket.send(JSON.stringify(["j", "1", TOPIC, "phx_join", { config: { chorale: { v: 1, client: "c", collections: [] } } }]));
  await platform.advance(20);
  server.pause();
  server.channel(CHANNEL).broadcast("wave", 1);
  await platform.advance(15);
  server.channel(CHANNEL).broadcast("wave", 2);
  await platform.advance(5);
  expect(got).toEqual([]);
  server.resume();
  await platform.advance(20);
  expect(got).toEqual([1, 2]);
});

describe("The fake platform", () => {
  it("runs timers in their order, with the microtasks between them, and shows whole milliseconds", async () => {
    const platform = createFakePlatform({ start: 1_000 });
    const log: string[] = [];
    platform.setTimeout(() => log.push(`late at ${platform.now()}`), 20);
    platform.setTimeout(() => {
      Promise.resolve().then(() => log.push(`promise at ${platform.now()}`));
      platform.setTimeout(() => log.push(`nested at ${platform.now()}`), 5.5);
    }, 10);
    platform.clearTimeout(platform.setTimeout(() => log.push("cleared"), 15));
    await platform.advance(19);
    expect(log).toEqual(["promise at 1010", "nested at 1015"]);
    expect([platform.now(), platform.timers]).toEqual([1_019, 1]);
    platform.jump(-500);
    await platform.advance(1);
    expect(log[2]).toBe("late at 520");
  });

  it("is the same again for the same seed", () => {
    const draw = (seed: number) => {
      const platform = createFakePlatform({ seed });
      return [platform.random(), platform.uuid(), platform.random()];
    };
    expect(draw(7)).toEqual(draw(7));
    expect(draw(7)).not.toEqual(draw(8));
  });

  it("tells hints as browsers do", () => {
    const platform = createFakePlatform();
    const hints: string[] = [];
    const stop = platform.onHint((hint) => hints.push(hint));
    platform.setOnline(false);
    platform.setVisible(false);
    expect([platform.isOnline(), platform.isVisible()]).toEqual([false, false]);
    platform.setVisible(true);
    platform.setOnline(true);
    platform.wake();
    stop();
    platform.wake();
    expect(hints).toEqual(["offline", "hidden", "visible", "online", "woken"]);
  });
});

describe("Fake tokens", () => {
  it("say what they were made of, and nothing else is one", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), fc.integer({ min: 0, max: 2 ** 40 }), (sub, seconds) => {
        const identity = { sub, role: "guest", expiresAt: seconds * 1_000 };
        expect(decodeToken(encodeToken(identity))).toEqual(identity);
      }),
    );
    const junk = fc.oneof(
      fc.string(),
      fc.string().map((text) => `a.${text}.fake`),
    );
    fc.assert(
      fc.property(junk, (text) => {
        expect(decodeToken(text)).toBeUndefined();
      }),
    );
  });
});
