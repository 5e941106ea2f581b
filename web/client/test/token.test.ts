import { describe, expect, it } from "vitest";
import { createRealtimeClient } from "../src/client";
import { ChoraleError } from "../src/errors";
import { createFakePlatform, createFakeServer } from "../src/testing";
import { TokenSource } from "../src/token";
import { jwt, setUp } from "./wire";

/** A source whose provider the test answers for, in any order. */
function askedByHand() {
  const asks: { refused: boolean; answer: (token: string) => void; fail: (error: unknown) => void }[] = [];
  const platform = createFakePlatform();
  const source = new TokenSource(
    ({ refused }) => new Promise((answer, fail) => asks.push({ refused, answer, fail })),
    platform,
  );
  return { platform, source, asks };
}

describe("why a token is asked for", () => {
  it("[C1] getToken is told when its token was refused, so that a cache does not hand it back", async () => {
    const why: boolean[] = [];
    const { connection, platform, newest } = setUp({
      getToken: ({ refused }) => {
        why.push(refused);
        return refused ? "new" : "cached";
      },
    });
    connection.need();
    await platform.advance(0);
    newest().lose(4101, "token refused");
    await platform.advance(250);
    expect([why, newest().url.includes("apikey=new")]).toEqual([[false, true], true]);
  });

  it("a channel that the server closed gets another token than the one that a cache still believes in", async () => {
    const platform = createFakePlatform();
    const server = createFakeServer({ platform });
    let cached = server.token("ada", { ttlMs: 5_000 });
    const getToken = ({ refused }: { readonly refused: boolean }) => {
      if (refused) cached = server.token("ada");
      return cached;
    };
    const client = createRealtimeClient({ url: "http://fake", getToken, platform });
    const channel = client.channels.getChannel({ name: "room" });
    await platform.advance(10);
    await platform.advance(7_000);
    expect([channel.status.getSnapshot().status, server.channel("room").memberCount]).toEqual(["joined", 1]);
  });

  it("an ask is shared by those who want no more of it", async () => {
    const { source, asks } = askedByHand();
    void source.get();
    void source.fresh(false);
    await Promise.resolve();
    void source.fresh(true);
    void source.fresh(true);
    void source.get();
    await Promise.resolve();
    expect(asks.map(({ refused }) => refused)).toEqual([false, true]);
  });

  it("[trap 25] an older ask that is answered late does not replace the newer answer", async () => {
    const { source, asks } = askedByHand();
    const old = source.get();
    const renewed = source.fresh(true);
    await Promise.resolve();
    asks[1]?.answer("new");
    expect(await renewed).toBe("new");
    asks[0]?.answer("old");
    expect([await old, await source.get(), asks.length]).toEqual(["old", "new", 2]);
  });

  it("whoever was refused a token that has been replaced since gets the new one without an ask", async () => {
    const { source, asks } = askedByHand();
    const first = source.get();
    await Promise.resolve();
    asks[0]?.answer("new");
    await first;
    expect(await source.instead("old")).toBe("new");
    void source.instead("new");
    await Promise.resolve();
    expect(asks.map(({ refused }) => refused)).toEqual([false, true]);
  });
});

describe("a token that only a person can bring", () => {
  const signedOut = () => new ChoraleError("signed_out", "sign in again");

  /** Somebody whose token of 60 s is the last one; \`signIn\` brings another. */
  async function lastMinute() {
    const platform = createFakePlatform();
    const server = createFakeServer({ platform });
    let token: string | undefined = server.token("ada", { ttlMs: 60_000 });
    const getToken = () => {
      if (token === undefined) throw signedOut();
      return token;
    };
    const client = createRealtimeClient({ url: "http://fake", getToken, platform });
    const channel = client.channels.getChannel({ name: "room" });
    await platform.advance(10);
    token = undefined;
    return {
      ...{ platform, server, client, channel },
      signIn: () => {
        token = server.token("ada");
        client.reconnect();
      },
      shown: () => [client.connection.getSnapshot().status, channel.status.getSnapshot().status],
    };
  }

  it("getToken says so before the first connection: it is not asked again until reconnect()", async () => {
    let isSignedIn = false;
    const { connection, platform, asked, status } = setUp({
      getToken: () => {
        if (!isSignedIn) throw signedOut();
        return "token";
      },
    });
    connection.need();
    await platform.advance(600_000);
    expect([status(), asked.length]).toEqual(["needs-auth", 1]);
    expect(connection.snapshot.getSnapshot().error).toMatchObject({ message: "sign in again", retryable: false });
    isSignedIn = true;
    connection.reconnect();
    await platform.advance(0);
    expect([status(), asked.length]).toEqual(["connecting", 2]);
  });

  it("a connection is good for as long as its token, and then says that it needs somebody", async () => {
    const { platform, server, client, signIn, shown } = await lastMinute();
    await platform.advance(59_000);
    expect(shown()).toEqual(["connected", "joined"]);
    await platform.advance(600_000);
    expect([shown(), server.sockets]).toEqual([["needs-auth", "rejoining"], 0]);
    expect(client.connection.getSnapshot().error).toMatchObject({ message: "sign in again", retryable: false });
    signIn();
    await platform.advance(1_000);
    expect(shown()).toEqual(["connected", "joined"]);
  });

  it("a channel that has to join in that last minute joins with what there is", async () => {
    const { platform, client, shown } = await lastMinute();
    await platform.advance(55_000);
    const late = client.channels.getChannel({ name: "late" });
    await platform.advance(1_000);
    expect([shown(), late.status.getSnapshot().status]).toEqual([["connected", "joined"], "joined"]);
  });

  it("a channel that was refused its token does not try for ever behind a connection that looks good", async () => {
    const { platform, server, client, signIn, shown } = await lastMinute();
    server.denyJoins({ code: "token_revoked", message: "revoked", retryable: false });
    const late = client.channels.getChannel({ name: "late" });
    await platform.advance(10_000);
    expect(shown()[0]).toBe("needs-auth");
    server.denyJoins();
    signIn();
    await platform.advance(1_000);
    expect([shown(), late.status.getSnapshot().status]).toEqual([["connected", "joined"], "joined"]);
  });

  it("no token and no answer are not for ever", async () => {
    const answers = ["", undefined, new Promise<string>(() => {}), "token"];
    const { connection, platform, status } = setUp({ getToken: () => answers.shift() as string });
    connection.need();
    await platform.advance(15_000);
    expect([answers, status()]).toEqual([[], "reconnecting"]);
  });

  it("a provider that does not answer within 10 s may be asked again", async () => {
    const { source, platform } = askedByHand();
    const waiting = source.get().catch((error: ChoraleError) => [error.code, error.retryable]);
    await platform.advance(10_000);
    expect(await waiting).toEqual(["token_timeout", true]);
  });

  it("a token whose provider fails serves until it expires", async () => {
    const { source, asks, platform } = askedByHand();
    const token = jwt({ exp: Math.floor(platform.now() / 1000) + 100 });
    const first = source.get();
    await Promise.resolve();
    asks[0]?.answer(token);
    await first;
    for (const [ms, end] of [
      [90_000, token],
      [10_000, "gone"],
    ] as const) {
      await platform.advance(ms);
      const next = source.get().catch((error: Error) => error.message);
      await Promise.resolve();
      asks.at(-1)?.fail(new Error("gone"));
      expect(await next).toBe(end);
    }
    expect(source.isExpired).toBe(true);
  });
});

describe("a new token", () => {
  it("reaches all channels, whichever of them asked for it, and none is closed in its turn", async () => {
    const platform = createFakePlatform();
    const server = createFakeServer({ platform });
    let asked = 0;
    const getToken = () => {
      asked++;
      return server.token("ada", { ttlMs: 10_000 });
    };
    const client = createRealtimeClient({ url: "http://fake", getToken, platform });
    const rejoins: string[] = [];
    for (const name of ["a", "b", "c"]) {
      const { status } = client.channels.getChannel({ name });
      status.subscribe(() => status.getSnapshot().status === "rejoining" && rejoins.push(name));
    }
    await platform.advance(5_000);
    // The server ends one channel, and that channel's next join asks for another token.
    const stop = server.intercept((frame) =>
      frame.event === "access_token" && frame.topic.endsWith("b") ? "drop" : undefined,
    );
    await platform.advance(8_000);
    expect(new Set(rejoins)).toEqual(new Set(["b"]));
    stop();
    rejoins.length = 0;
    asked = 0;
    await platform.advance(40_000);
    expect([rejoins, asked]).toEqual([[], 5]);
  });

  it("is told to the server by a join that was on the way with the old one", async () => {
    const platform = createFakePlatform();
    const server = createFakeServer({ platform });
    let token = server.token("ada");
    const client = createRealtimeClient({ url: "http://fake", getToken: () => token, platform });
    client.channels.getChannel({ name: "first" });
    await platform.advance(10);
    server.pause();
    client.channels.getChannel({ name: "second" });
    await platform.advance(10);
    token = server.token("ada", { ttlMs: 7_200_000 });
    platform.jump(3_599_000); // the held one is about to expire
    client.channels.getChannel({ name: "third" });
    await platform.advance(10);
    server.resume();
    await platform.advance(10);
    const told = server.frames.filter((frame) => frame.event === "access_token");
    expect(told.map(({ topic, payload }) => [topic, payload])).toEqual([
      ["realtime:first", { access_token: token }],
      ["realtime:second", { access_token: token }],
    ]);
  });

  it("lets a channel that was refused join again, and a join that asked for it goes on", async () => {
    const platform = createFakePlatform();
    const server = createFakeServer({ platform });
    server.denyJoins({ code: "forbidden", message: "no", retryable: false });
    let role = "guest";
    const getToken = () => server.token("ada", { role, ttlMs: 60_000 });
    const client = createRealtimeClient({ url: "http://fake", getToken, platform });
    const channel = client.channels.getChannel({ name: "room" });
    await platform.advance(47_000);
    expect(channel.status.getSnapshot().status).toBe("refused");
    const before = server.frames.filter((frame) => frame.event === "phx_join").length;
    role = "editor";
    server.denyJoins();
    await platform.advance(2_000); // at 48 s, four fifths of its life, the token is replaced
    expect(channel.status.getSnapshot().status).toBe("joined");
    expect(server.frames.filter((frame) => frame.event === "phx_join").length).toBe(before + 1);
  });
});
