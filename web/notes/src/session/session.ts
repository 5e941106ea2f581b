import { ChoraleError } from "@chorale/client";
import { parseObject, readClaims } from "./claims.ts";

/** A token that ends sooner than this is replaced before it is used, in ms. */
const FRESH_MS = 60_000;
const KEY = "chorale.session";
const BIRDS = ["Heron", "Wren", "Plover", "Tern", "Lark", "Finch", "Robin", "Swift", "Curlew", "Linnet"];

/** Who we are, and the token that proves it. */
export interface Identity {
  readonly sub: string;
  readonly name: string;
  readonly token: string;
  /** Whether the person chose the name; else the app made one up and asks. */
  readonly isNamed: boolean;
  /** `guest`: the server gives out tokens (dev mode). `token`: somebody pasted one. */
  readonly from: "guest" | "token";
  /** Whether this is somebody of this tab alone, and not who comes back in the next window. */
  readonly isTabOnly: boolean;
}

/** What the server gives to a guest. */
type Granted = Pick<Identity, "sub" | "token">;

export type SessionState =
  | { readonly status: "starting" }
  | { readonly status: "ready"; readonly identity: Identity }
  /** The server gives out no tokens: somebody has to bring one. */
  | { readonly status: "sign-in" }
  | { readonly status: "failed"; readonly message: string };

export interface SessionEnvironment {
  /** Of this tab: two windows of one browser can be two people. */
  readonly tab: Storage;
  /** Of the browser: who was here last. */
  readonly browser: Storage;
  readonly fetch: typeof fetch;
  readonly now: () => number;
  readonly random: () => number;
}

/**
 * Who uses this tab, kept over reloads, and the tokens for that. A store: `getSnapshot` and `subscribe` are bound, and the snapshot is
 * the same object until something changed.
 */
export class Session {
  readonly #env: SessionEnvironment;
  readonly #listeners = new Set<() => void>();
  #state: SessionState = { status: "starting" };
  /** A request for a token on its way; everybody who needs one waits for the same. */
  #asking: Promise<Granted> | undefined;

  constructor(env: SessionEnvironment) {
    this.#env = env;
  }

  readonly getSnapshot = (): SessionState => this.#state;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /**
   * Goes on as who was here before: in this tab, else in this browser, else as a new guest. `as` makes this tab somebody of that name.
   * Does not reject; `getSnapshot` says how it went.
   */
  async start(as?: string): Promise<void> {
    const { tab, browser } = this.#env;
    const before = parseIdentity(tab.getItem(KEY)) ?? (as === undefined ? parseIdentity(browser.getItem(KEY)) : undefined);
    const isUsable = before && (before.from === "guest" || this.#isFresh(before.token));
    const known = isUsable && (as === undefined || before.name === as) ? before : undefined;
    const identity = known ?? {
      ...NOBODY,
      name: as ?? this.#madeUpName(),
      isNamed: as !== undefined,
      isTabOnly: as !== undefined,
    };
    try {
      this.#become(this.#isFresh(identity.token) ? identity : { ...identity, ...(await this.#ask(identity)) });
    } catch (error) {
      this.#set(error instanceof NoGuests ? { status: "sign-in" } : { status: "failed", message: messageOf(error) });
    }
  }

  /**
   * A token that is good for a while, and not the one that the server just refused: one that looks fresh may be signed with a secret
   * that the server does not have any more. Rejects as `renew` does.
   */
  readonly getToken = async ({ refused }: { readonly refused: boolean }): Promise<string> => {
    const { token } = this.#identity();
    return !refused && this.#isFresh(token) ? token : this.renew();
  };

  /**
   * Fetches a new token for the same person. Rejects with a ChoraleError that is not retryable when only the person can bring one; with
   * what else went wrong otherwise, and the SDK tries again.
   */
  async renew(): Promise<string> {
    const identity = this.#identity();
    if (identity.from === "token") throw this.#spent(identity.token);
    const granted = await this.#ask(identity).catch((error: unknown) => {
      throw error instanceof NoGuests ? this.#spent(identity.token) : error;
    });
    this.#become({ ...this.#identity(), ...granted }); // the name may have changed meanwhile
    return granted.token;
  }

  /** Takes a name of the person's own choice; who they are does not change. Tokens carry it from the next one on. */
  rename(name: string): void {
    this.#become({ ...this.#identity(), name, isNamed: true });
  }

  /** Goes on with a token that somebody brought. Throws when it is none, or ends within the minute. */
  signIn(token: string): void {
    const claims = readClaims(token);
    if (!claims) throw new Error("This is no token: it has no subject or no expiry.");
    if (!this.#isFresh(token)) throw new Error("This token has expired, or is about to.");
    this.#become({
      sub: claims.sub,
      name: claims.name ?? claims.sub,
      token: token.trim(),
      isNamed: true,
      from: "token",
      isTabOnly: true,
    });
  }

  /** Forgets who was here, in this tab and in this browser, and goes on as somebody new. */
  async signOut(): Promise<void> {
    this.#env.tab.removeItem(KEY);
    this.#env.browser.removeItem(KEY);
    await this.start();
  }

  #identity(): Identity {
    if (this.#state.status !== "ready") throw new Error("nobody is signed in");
    return this.#state.identity;
  }

  /** Why somebody has to bring another token in the place of this one. */
  #spent(token: string): ChoraleError {
    return this.#isFresh(token)
      ? new ChoraleError("token_refused", "the server refused the token: sign in with another one")
      : new ChoraleError("token_expired", "the token has expired: sign in with a new one");
  }

  #isFresh(token: string): boolean {
    return (readClaims(token)?.expiresAt ?? 0) - this.#env.now() > FRESH_MS;
  }

  #madeUpName(): string {
    return `Guest ${BIRDS[Math.floor(this.#env.random() * BIRDS.length)]}`;
  }

  #ask(identity: Identity): Promise<Granted> {
    this.#asking ??= this.#request(identity).finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #request({ name, sub }: Identity): Promise<Granted> {
    const response = await this.#env.fetch("/dev/token", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(sub === "" ? { name } : { name, sub }),
    });
    if (response.status === 404 || response.status === 405) throw new NoGuests();
    if (!response.ok) throw new Error(`the server gave no token (${response.status})`);
    const { token } = parseObject(await response.text()) ?? {};
    const claims = typeof token === "string" ? readClaims(token) : undefined;
    if (typeof token !== "string" || !claims) throw new Error("the server's token cannot be read");
    return { sub: claims.sub, token };
  }

  #become(identity: Identity): void {
    const text = JSON.stringify(identity);
    this.#env.tab.setItem(KEY, text);
    if (!identity.isTabOnly) this.#env.browser.setItem(KEY, text);
    this.#set({ status: "ready", identity });
  }

  #set(state: SessionState): void {
    this.#state = state;
    for (const listener of this.#listeners) listener();
  }
}

/** A guest whom no server has seen yet. */
const NOBODY = { sub: "", token: "", from: "guest" } as const;

/** The server is not in dev mode. */
class NoGuests extends Error {}

function parseIdentity(text: string | null): Identity | undefined {
  const { sub, name, token, isNamed, from, isTabOnly } = parseObject(text) ?? {};
  if (typeof sub !== "string" || typeof name !== "string" || typeof token !== "string") return undefined;
  return {
    sub,
    name,
    token,
    isNamed: isNamed === true,
    from: from === "token" ? "token" : "guest",
    isTabOnly: isTabOnly === true,
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
