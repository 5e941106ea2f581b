/** Tabs that share a socket. */
import { describe, expect, it } from "vitest";
import { inspect } from "../src/devtools";
import { next, type Seat, type SeatEvent } from "../src/tabs/seat";
import { decodeLane, MAX_LANES, partsOf, sharedUrl } from "../src/tabs/wire";
import type { SocketLike } from "../src/types";
import { createTabs } from "./tabs-world";

describe("Tabs", () => {
  it("[W1] share one socket, and are a person each", async () => {
    const { open, pass, server, room } = createTabs();
    const tabs = [open({ sub: "ada" }), open({ sub: "ben" }), open({ sub: "ada" })];
    await pass(1_000);
    expect([server.sockets, room.memberCount]).toEqual([1, 3]);
    for (const tab of tabs) expect(tab.people()).toEqual(["ada", "ada", "ben"]);
    for (const [i, { notes, channel }] of tabs.entries()) {
      notes.add({ id: `n${i}`, content: `of tab ${i}` });
      void channel.publish("said", i);
    }
    await pass(500);
    for (const [i, tab] of tabs.entries()) {
      expect(tab.contents()).toEqual(["of tab 0", "of tab 1", "of tab 2"]);
      expect(tab.heard, "each hears the others, and not itself").toEqual([0, 1, 2].filter((n) => n !== i));
    }
    expect(room.records("notes").map(({ createdBy }) => createdBy)).toEqual(["ada", "ben", "ada"]);
  });

  it("show developers which of them holds it", async () => {
    const { open, pass } = createTabs();
    const tabs = [open(), open(), open({ hasLocks: false })];
    const inspectors = tabs.map(({ client }) => inspect(client));
    await pass(1_000);
    expect(inspectors.map((inspector) => inspector.store.getSnapshot().history.at(-1)?.detail)).toEqual([
      "over websocket, shared by tabs, held by this one",
      "over websocket, shared by tabs, held by another",
      "over websocket",
    ]);
  });

  it.each(["closed", "killed"])("go on when the one with the socket is %s: nothing is lost, doubled or seen", async (how) => {
    const { open, pass, server, room, platform } = createTabs();
    const [leader, heir, third] = [open(), open(), open()];
    await pass(1_000);
    const before = [heir.shown.length, third.shown.length];
    heir.notes.add({ id: "n1", content: "under way" });
    if (how === "closed") leader.client.close();
    leader.tab.kill();
    third.notes.add({ id: "n2", content: "meanwhile" });
    await pass(4_000);
    expect([server.sockets, room.memberCount]).toEqual([1, 2]);
    for (const [i, tab] of [heir, third].entries()) {
      expect(tab.contents()).toEqual(["under way", "meanwhile"]);
      expect([tab.status(), tab.pending(), tab.people()]).toEqual(["connected", 0, ["ada", "ada"]]);
      expect(new Set(tab.shown.slice(before[i])), "a blip is not shown").toEqual(new Set(["connected"]));
    }
    for (const id of room.appliedIds) expect(room.timesApplied(id)).toBe(1);
    expect(platform.errors).toEqual([]);
  });

  it("go on over the same socket when only the client of its tab is closed", async () => {
    const { open, pass, server, room } = createTabs();
    const [leader, other] = [open(), open()];
    await pass(1_000);
    const shown = other.shown.length;
    leader.client.close();
    await pass(1_000);
    expect([server.sockets, room.memberCount, other.shown.length]).toEqual([1, 1, shown]);
  });

  it("[W3] end with their lane when they crash", async () => {
    const { open, pass, room } = createTabs();
    const [leader, other] = [open({ sub: "ada" }), open({ sub: "ben" })];
    await pass(1_000);
    other.tab.kill();
    await pass(500);
    expect([room.memberCount, leader.people()]).toEqual([1, ["ada"]]);
  });

  it("come back over another when the one with the socket is frozen, and do no harm when it wakes", async () => {
    const { open, pass, server, room } = createTabs();
    const [leader, other] = [open(), open()];
    await pass(1_000);
    const shown = other.shown.length;
    leader.tab.freeze(true);
    other.notes.add({ id: "n1", content: "written meanwhile" });
    await pass(6_000);
    expect([other.status(), other.pending(), other.contents()]).toEqual(["connected", 0, ["written meanwhile"]]);
    expect(new Set(other.shown.slice(shown)), "a blip is not shown").toEqual(new Set(["connected"]));
    const late = open();
    await pass(1_000);
    expect([late.status(), server.sockets], "who comes now asks the new leader").toEqual(["connected", 2]);
    leader.tab.freeze(false);
    await pass(60_000);
    for (const tab of [leader, other, late])
      expect([tab.status(), tab.contents()]).toEqual(["connected", ["written meanwhile"]]);
    expect(room.memberCount).toBe(3);
    expect(room.appliedIds).toHaveLength(1);
  });

  it("[trap 22] that are hidden notice it as soon, although their pages' timers come once a minute", async () => {
    const { open, pass, platform } = createTabs();
    const setTimeout = (fn: () => void, ms: number) => platform.setTimeout(fn, ms > 1_000 ? Math.max(ms, 60_000) : ms);
    const leader = open();
    await pass(1_000);
    const hidden = open({ platform: { setTimeout } });
    await pass(1_000);
    leader.tab.freeze(true);
    hidden.notes.add({ id: "n1", content: "written meanwhile" });
    await pass(6_000);
    expect([hidden.status(), hidden.pending()]).toEqual(["connected", 0]);
  });

  it("that open while the leader is frozen have a socket within two seconds", async () => {
    const { open, pass } = createTabs();
    const leader = open();
    await pass(1_000);
    leader.tab.freeze(true);
    const other = open();
    await pass(2_500);
    expect([other.status(), other.attempt()]).toEqual(["connected", 0]);
  });

  it("come back over one socket when the network breaks, and when the server restarts", async () => {
    const { open, pass, server, room } = createTabs();
    const tabs = [open(), open(), open()];
    await pass(1_000);
    for (const end of [() => server.kill(), () => server.restart()]) {
      end();
      expect(server.sockets).toBe(0);
      await pass(3_000);
      expect([server.sockets, room.memberCount]).toEqual([1, 3]);
      for (const tab of tabs) expect(tab.status()).toBe("connected");
    }
  });

  it("[trap 21] leave a dead socket together, also one that never opens", async () => {
    const { open, pass, server, platform } = createTabs();
    let line = { isDead: false };
    const openSocket = (url: string) => {
      const mine = line;
      const socket = platform.openSocket(url);
      const seen: SocketLike = {
        send: (data) => mine.isDead || socket.send(data),
        close: () => socket.close(),
        ...{ onopen: null, onmessage: null, onclose: null },
      };
      socket.onopen = () => mine.isDead || seen.onopen?.();
      socket.onmessage = (data) => mine.isDead || seen.onmessage?.(data);
      socket.onclose = (code, reason) => mine.isDead || seen.onclose?.(code, reason);
      return seen;
    };
    const tabs = [open({ platform: { openSocket } })];
    for (let i = 0; i < 3; i++) {
      await pass(4_000); // so that each gives up at another time
      tabs.push(open({ platform: { openSocket } }));
    }
    await pass(4_000);
    line.isDead = true; // what is open, as when somebody changes networks
    line = { isDead: true }; // and the next one
    await pass(30_000);
    line = { isDead: false };
    await pass(14_000);
    expect(tabs.map((tab) => tab.status())).toEqual(tabs.map(() => "connected"));
    await pass(61_000); // one of them has gone around what looked like a network that blocks WebSockets
    expect(server.sockets).toBe(1);
  });

  it("[W3] [C1] whose token is refused are alone with that", async () => {
    const { open, pass, server } = createTabs();
    const good = open();
    await pass(1_000);
    const shown = good.shown.length;
    const bad = open({ getToken: () => server.token("ben", { ttlMs: -1 }) });
    await pass(5_000);
    expect([bad.status(), good.status(), good.shown.length]).toEqual(["needs-auth", "connected", shown]);
  });

  it("[C1] wait for no good token of the leader", async () => {
    const { open, pass, server } = createTabs();
    const bad = open({ getToken: () => server.token("ben", { ttlMs: -1 }) });
    const good = open();
    await pass(5_000);
    expect([bad.status(), good.status(), server.sockets]).toEqual(["needs-auth", "connected", 1]);
  });

  it("have a socket each without Web Locks", async () => {
    const { open, pass, server } = createTabs();
    const tabs = [open({ hasLocks: false }), open({ hasLocks: false })];
    await pass(1_000);
    expect([server.sockets, ...tabs.map((tab) => tab.status())]).toEqual([2, "connected", "connected"]);
  });

  it("have a socket each where the server knows no lanes, without a failed attempt", async () => {
    const { open, pass, server, platform } = createTabs();
    const refused = () => {
      const socket: SocketLike = { send() {}, close() {}, onopen: null, onmessage: null, onclose: null };
      platform.setTimeout(() => socket.onclose?.(1006, ""), 0);
      return socket;
    };
    const old = {
      platform: { openSocket: (url: string) => (url.includes("/lanes") ? refused() : platform.openSocket(url)) },
    };
    const tabs = [open(old), open(old)];
    await pass(2_000);
    for (const tab of tabs) expect([tab.status(), tab.attempt()]).toEqual(["connected", 0]);
    expect(server.sockets).toBe(2);
    server.kill();
    await pass(3_000);
    for (const tab of tabs) expect(tab.status()).toBe("connected");
    expect(server.sockets).toBe(2);
  });

  it("go around a network that blocks WebSockets, each for itself", async () => {
    const { open, pass, server } = createTabs();
    server.blockWebSockets(true);
    const tabs = [open(), open()];
    await pass(20_000);
    for (const { client } of tabs) expect(client.connection.getSnapshot().transport).toBe("sse");
    server.blockWebSockets(false);
    await pass(70_000);
    for (const { client } of tabs) expect(client.connection.getSnapshot().transport).toBe("websocket");
    expect(server.sockets).toBe(1);
  });

  it("[W4] beyond 32 share the next socket", async () => {
    const { open, pass, server, room } = createTabs();
    const tabs = Array.from({ length: MAX_LANES + 1 }, () => open());
    await pass(3_000);
    for (const tab of tabs) expect(tab.status()).toBe("connected");
    expect([server.sockets, room.memberCount]).toEqual([2, MAX_LANES + 1]);
  });
});

describe("A seat", () => {
  const left: SeatEvent = { type: "left", reason: "" };
  const cases: readonly (readonly [string, Seat, SeatEvent, string, readonly string[]])[] = [
    ["asks again when there is a new leader", { name: "asking" }, { type: "announced" }, "asking", ["ask"]],
    ["is the tab's own when that leads", { name: "asking" }, { type: "led" }, "own", ["openOwn"]],
    ["is a guest's when the leader has room", { name: "asking" }, { type: "invited", leader: "a" }, "guest", ["accept"]],
    ["is the tab's own when it has none", { name: "asking" }, { type: "refused" }, "own", ["openOwn"]],
    ["takes the lead from who is silent", { name: "asking" }, { type: "unanswered" }, "own", ["takeLead", "openOwn"]],
    ["is given up without a word while nobody has it", { name: "asking" }, left, "ended", []],
    ["ends with the leader", { name: "guest", leader: "a" }, { type: "gone", tab: "a" }, "ended", ["tell"]],
    ["does not end with another tab", { name: "guest", leader: "a" }, { type: "gone", tab: "b" }, "guest", []],
    ["does not move to another leader", { name: "guest", leader: "a" }, { type: "invited", leader: "b" }, "guest", []],
    ["ends when its lane does", { name: "guest", leader: "a" }, { type: "ended", code: 4200, reason: "" }, "ended", ["tell"]],
    [
      "goes its own way from a leader who is silent",
      { name: "guest", leader: "a" },
      { type: "silent" },
      "ended",
      ["leave", "takeLead", "tell"],
    ],
    ["is left", { name: "own" }, left, "ended", ["leave"]],
    ["has no second end", { name: "ended" }, left, "ended", []],
  ];
  it.each(cases)("%s", (_, seat, event, name, effects) => {
    const step = next(seat, event);
    expect([step.seat.name, step.effects.map((effect) => effect.do)]).toEqual([name, effects]);
  });
});

describe("The frames of a shared socket", () => {
  it("[W2] [W3] begin with their lane", () => {
    expect(decodeLane('12[null,"1","t","e",{}]')).toEqual({ lane: 12, frame: '[null,"1","t","e",{}]' });
    expect(decodeLane("12-4101 Token was revoked")).toEqual({ lane: 12, code: 4101, reason: "Token was revoked" });
    expect(decodeLane("12-1012 ")).toEqual({ lane: 12, code: 1012, reason: "" });
    expect(decodeLane("[]")).toBeUndefined();
  });

  it("lead to where the ordinary ones do", () => {
    const { server, token } = partsOf("wss://h/x/socket/websocket?vsn=2.0.0&chorale=1&apikey=a%2Bb");
    expect(sharedUrl(server, token)).toBe("wss://h/x/socket/lanes?vsn=2.0.0&chorale=1&apikey=a%2Bb");
  });
});
