import { describe, expect, it } from "vitest";
import { createRealtimeClient } from "../src/client";
import { createFakePlatform, createFakeServer } from "../src/testing";
import { TokenSource } from "../src/token";
import { setUp } from "./wire";

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

  it("an older ask that is answered late does not replace the newer answer", async () => {
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
