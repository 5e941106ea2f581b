/** Tokens: fetched with a time limit, kept while they are good, replaced before they expire. */
import { ChoraleError } from "./errors";
import type { Platform, RealtimeClientOptions } from "./types";

type GetToken = RealtimeClientOptions["getToken"];

const TIMEOUT_MS = 10_000;
/** A token is replaced this long before it expires, or after four fifths of its life, whichever is later. */
const REFRESH_BEFORE_MS = 60_000;

interface Held {
  readonly token: string;
  /** ms since 1970; Infinity when the token does not say when it expires, or this clock cannot tell. */
  readonly refreshAt: number;
  /** ms since 1970; Infinity likewise. */
  readonly expiresAt: number;
  /** Which ask it is the answer to: an older ask that is answered late does not take its place. */
  readonly ask: number;
}

interface Asking {
  readonly refused: boolean;
  readonly token: Promise<string>;
}

export class TokenSource {
  readonly #getToken: GetToken;
  readonly #platform: Platform;
  #held: Held | undefined;
  #asking: Asking | undefined;
  #asks = 0;
  readonly #onNew: (token: string) => void;

  /** `onNew` hears of each token that takes another one's place, whoever asked for it, before they get it. */
  constructor(getToken: GetToken, platform: Platform, onNew: (token: string) => void = () => {}) {
    this.#getToken = getToken;
    this.#onNew = onNew;
    this.#platform = platform;
  }

  /** The newest token. */
  get held(): string | undefined {
    return this.#held?.token;
  }

  /** When the held token should be replaced, ms since 1970; undefined when there is none or it never expires. */
  get refreshAt(): number | undefined {
    const at = this.#held?.refreshAt;
    return at === undefined || at === Number.POSITIVE_INFINITY ? undefined : at;
  }

  /** Whether there is no token that could be good. */
  get isExpired(): boolean {
    return this.#held === undefined || this.#held.expiresAt <= this.#platform.now();
  }

  /** The held token until it should be replaced, else a new one; none to be had, the held one serves until it expires. */
  async get(): Promise<string> {
    if (this.#held && this.#held.refreshAt > this.#platform.now()) return this.#held.token;
    try {
      return await this.fresh(false);
    } catch (error) {
      if (this.#held && !this.isExpired) return this.#held.token;
      throw error;
    }
  }

  /** Another token than one that the server refused: the held one if it has come since, else a new one. */
  instead(refused: string): Promise<string> {
    return this.#held && this.#held.token !== refused ? this.get() : this.fresh(true);
  }

  /**
   * A new token. `refused` when the server did not take the held one. Those who ask while one is being fetched share it, unless they
   * know of a refusal that its provider was not told of.
   */
  fresh(refused: boolean): Promise<string> {
    const known = this.#asking;
    if (known && (known.refused || !refused)) return known.token;
    const token = this.#ask(refused).finally(() => {
      if (this.#asking === asking) this.#asking = undefined;
    });
    const asking: Asking = { refused, token };
    this.#asking = asking;
    return token;
  }

  async #ask(refused: boolean): Promise<string> {
    const ask = ++this.#asks;
    const platform = this.#platform;
    let timer: unknown;
    const tooLate = new Promise<never>((_, reject) => {
      timer = platform.setTimeout(
        () => reject(new ChoraleError("token_timeout", "getToken did not answer within 10 s", { retryable: true })),
        TIMEOUT_MS,
      );
    });
    try {
      const token = await Promise.race([Promise.resolve({ refused }).then(this.#getToken), tooLate]);
      if (typeof token !== "string" || token === "") {
        throw new ChoraleError("token_missing", "getToken returned no token", { retryable: true });
      }
      this.#take(hold(token, platform.now(), ask));
      return token;
    } finally {
      platform.clearTimeout(timer);
    }
  }

  #take(answer: Held): void {
    const held = this.#held;
    if (held && held.ask > answer.ask) return;
    this.#held = answer;
    if (held?.token !== answer.token) this.#onNew(answer.token);
  }
}

function hold(token: string, now: number, ask: number): Held {
  const expiresAt = expiryOf(token);
  const life = expiresAt - now;
  // A new token that seems to have expired says that this clock is wrong. Whether it is good is for the server to say.
  if (life <= 0) return { token, refreshAt: Number.POSITIVE_INFINITY, expiresAt: Number.POSITIVE_INFINITY, ask };
  return { token, refreshAt: expiresAt - Math.min(REFRESH_BEFORE_MS, life / 5), expiresAt, ask };
}

/** Whether what getToken threw says that asking again is of no use. */
export function isFinal(error: unknown): boolean {
  return typeof error === "object" && error !== null && "retryable" in error && error.retryable === false;
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
