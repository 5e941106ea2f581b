/** Tokens: fetched with a time limit, kept while they are good, replaced before they expire. */
import { ChoraleError } from "./errors";
import type { Platform } from "./types";

const TIMEOUT_MS = 10_000;
/** A token is replaced this long before it expires, or after four fifths of its life, whichever is later. */
const REFRESH_BEFORE_MS = 60_000;

interface Held {
  readonly token: string;
  /** ms since 1970; Infinity when the token does not say when it expires, or this clock cannot tell. */
  readonly refreshAt: number;
}

export class TokenSource {
  readonly #getToken: () => string | Promise<string>;
  readonly #platform: Platform;
  #held: Held | undefined;
  #asking: Promise<string> | undefined;

  constructor(getToken: () => string | Promise<string>, platform: Platform) {
    this.#getToken = getToken;
    this.#platform = platform;
  }

  /** When the held token should be replaced, ms since 1970; undefined when there is none or it never expires. */
  get refreshAt(): number | undefined {
    const at = this.#held?.refreshAt;
    return at === undefined || at === Number.POSITIVE_INFINITY ? undefined : at;
  }

  /** The held token while it is good, else a new one. */
  get(): Promise<string> {
    const held = this.#held;
    if (held && held.refreshAt > this.#platform.now()) return Promise.resolve(held.token);
    return this.fresh();
  }

  /** A new token. Those who ask while one is being fetched share it. */
  fresh(): Promise<string> {
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #ask(): Promise<string> {
    const platform = this.#platform;
    let timer: unknown;
    const tooLate = new Promise<never>((_, reject) => {
      timer = platform.setTimeout(
        () => reject(new ChoraleError("token_timeout", "getToken did not answer within 10 s", { retryable: true })),
        TIMEOUT_MS,
      );
    });
    try {
      const token = await Promise.race([Promise.resolve().then(this.#getToken), tooLate]);
      if (typeof token !== "string" || token === "") throw new ChoraleError("token_missing", "getToken returned no token");
      this.#held = hold(token, platform.now());
      return token;
    } finally {
      platform.clearTimeout(timer);
    }
  }
}

function hold(token: string, now: number): Held {
  const expiresAt = expiryOf(token);
  const life = expiresAt - now;
  // A new token that seems to have expired says that this clock is wrong. Whether it is good is for the server to say.
  const refreshAt = life > 0 ? expiresAt - Math.min(REFRESH_BEFORE_MS, life / 5) : Number.POSITIVE_INFINITY;
  return { token, refreshAt };
}

/** When a JWT expires, ms since 1970; Infinity when it does not say. The signature is the server's business. */
export function expiryOf(token: string): number {
  try {
    const payload = token.split(".")[1] ?? "";
    const json: unknown = JSON.parse(atob(payload.replace(/-/g, "+").replace(/_/g, "/")));
    const exp = typeof json === "object" && json !== null && "exp" in json ? json.exp : undefined;
    return typeof exp === "number" ? exp * 1000 : Number.POSITIVE_INFINITY;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}
