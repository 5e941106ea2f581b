import { beforeEach, describe, expect, test } from "vitest";
import { readClaims } from "../src/session/claims.ts";
import { Session, type SessionEnvironment } from "../src/session/session.ts";

const NOW = 1_764_000_000_000;

function token(claims: object): string {
  const bytes = new TextEncoder().encode(JSON.stringify(claims));
  return `h.${btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "")}.s`;
}

/** A server's /dev/token: makes guests, and remembers what it was asked. */
class Tokens {
  readonly asked: { name: string; sub?: string }[] = [];
  status = 200;
  lifeMs = 3_600_000;
  readonly fetch: typeof fetch = async (_url, init) => {
    const body = JSON.parse(String(init?.body));
    this.asked.push(body);
    const sub = body.sub ?? `guest-${this.asked.length}`;
    const exp = (NOW + this.lifeMs) / 1000;
    return new Response(JSON.stringify({ token: token({ sub, name: body.name, exp }) }), { status: this.status });
  };
}

let tokens: Tokens;
let env: SessionEnvironment;
beforeEach(() => {
  sessionStorage.clear();
  localStorage.clear();
  tokens = new Tokens();
  env = { tab: sessionStorage, browser: localStorage, fetch: tokens.fetch, now: () => NOW, random: () => 0 };
});

async function started(as?: string) {
  const session = new Session(env);
  await session.start(as);
  return session;
}
const who = (session: Session) => {
  const state = session.getSnapshot();
  return state.status === "ready" ? state.identity : undefined;
};

describe("who uses the tab", () => {
  test("is a guest with a made-up name at first", async () => {
    expect(who(await started())).toMatchObject({ name: "Guest Heron", sub: "guest-1", isNamed: false });
  });
  test("is the same after a reload, without asking the server", async () => {
    const before = who(await started());
    expect(who(await started())).toEqual(before);
    expect(tokens.asked).toHaveLength(1);
  });
  test("comes back in a new tab of the browser", async () => {
    const before = who(await started());
    sessionStorage.clear();
    expect(who(await started())?.sub).toBe(before?.sub);
  });
  test("is somebody else with ?as=, in this tab alone", async () => {
    const guest = who(await started());
    const ada = who(await started("Ada"));
    expect(ada).toMatchObject({ name: "Ada", isNamed: true });
    expect(ada?.sub).not.toBe(guest?.sub);
    expect(who(await started())?.sub).toBe(ada?.sub);
    sessionStorage.clear();
    expect(who(await started())?.sub).toBe(guest?.sub);
  });
  test("keeps the name that was chosen", async () => {
    const session = await started();
    session.rename("Ada");
    expect(who(session)).toMatchObject({ name: "Ada", sub: "guest-1", isNamed: true });
    expect(who(await started())?.name).toBe("Ada");
  });
});

describe("tokens", () => {
  test("are used while they are fresh, and fetched for the same person before they end", async () => {
    const session = await started();
    await session.getToken({ refused: false });
    expect(tokens.asked).toHaveLength(1);
    env = { ...env, now: () => NOW + 3_590_000 };
    const later = await started();
    expect(tokens.asked).toHaveLength(2);
    expect(tokens.asked[1]?.sub).toBe("guest-1");
    expect(who(later)?.sub).toBe("guest-1");
  });
  test("are asked for once when several need one", async () => {
    const session = await started();
    await Promise.all([session.renew(), session.renew()]);
    expect(tokens.asked).toHaveLength(2);
  });
  test("are replaced when the server refuses them, though they look fresh", async () => {
    const session = await started();
    const before = await session.getToken({ refused: false });
    tokens.lifeMs = 7_200_000;
    const after = await session.getToken({ refused: true });
    expect(after).not.toBe(before);
    expect(readClaims(after)?.sub).toBe("guest-1");
    expect(await session.getToken({ refused: false })).toBe(after);
  });
  test("do not bring back an old name", async () => {
    const session = await started();
    const renewed = session.renew();
    session.rename("Ada");
    await renewed;
    expect(who(session)?.name).toBe("Ada");
  });
});

describe("a server without guests", () => {
  test("asks for a token, takes a good one, and keeps it in the tab alone", async () => {
    tokens.status = 404;
    const session = await started();
    expect(session.getSnapshot().status).toBe("sign-in");
    session.signIn(token({ sub: "user-7", name: "Grace", exp: NOW / 1000 + 600 }));
    expect(who(session)).toMatchObject({ sub: "user-7", name: "Grace", from: "token" });
    expect(localStorage.length).toBe(0);
    await expect(session.renew()).rejects.toThrow("sign in");
  });
  test("says that the person has to come with another token, once theirs has ended or was refused", async () => {
    let now = NOW;
    env = { ...env, now: () => now };
    const session = await started();
    session.signIn(token({ sub: "user-7", exp: NOW / 1000 + 600 }));
    await expect(session.getToken({ refused: true })).rejects.toMatchObject({ code: "token_refused", retryable: false });
    now += 570_000;
    await expect(session.getToken({ refused: false })).rejects.toMatchObject({ code: "token_expired", retryable: false });
  });
  test("forgets on signing out who was here, in this tab and in this browser, and goes on as somebody new", async () => {
    const session = await started("Ada");
    const sub = who(session)?.sub;
    await session.signOut();
    expect([who(session)?.isNamed, who(session)?.sub === sub]).toEqual([false, false]);
  });
  test("says so to a guest whose server takes none any more", async () => {
    const session = await started();
    tokens.status = 404;
    await expect(session.getToken({ refused: true })).rejects.toMatchObject({ code: "token_refused", retryable: false });
  });
  test("says what is wrong with a bad one", async () => {
    const session = await started();
    expect(() => session.signIn("rubbish")).toThrow("no token");
    expect(() => session.signIn(token({ sub: "x", exp: 1 }))).toThrow("expired");
    expect(() => session.signIn(token({ sub: "x", exp: NOW / 1000 + 60 }))).toThrow("about to");
  });
  test("asks again when the kept token has ended", async () => {
    (await started()).signIn(token({ sub: "user-7", exp: NOW / 1000 + 600 }));
    tokens.status = 404;
    localStorage.clear();
    env = { ...env, now: () => NOW + 900_000 };
    expect((await started()).getSnapshot().status).toBe("sign-in");
  });
});

test("a server that does not answer is a failure with its message", async () => {
  tokens.status = 503;
  expect((await started()).getSnapshot()).toEqual({ status: "failed", message: "the server gave no token (503)" });
});

describe("claims", () => {
  test("are read from a token, whatever its letters", () => {
    const text = token({ sub: "u", name: "Zoë 李", role: "guest", exp: 5 });
    expect(readClaims(text)).toEqual({ sub: "u", name: "Zoë 李", role: "guest", expiresAt: 5_000 });
  });
  test.each(["", "a.b.c", "..", token([]), token({ sub: "u" }), token({ exp: 5 })])("%j has none", (text) =>
    expect(readClaims(text)).toBeUndefined(),
  );
});
