/**
 * Events down, POSTs up: a socket for networks that block WebSockets (docs/protocol.md, H1 to H5). Loaded when one has failed, so that
 * nobody else pays for it.
 */
import { EventReader, type StreamEvent } from "./event-reader";
import { type Http, Route } from "./route";
import type { Fallback, FallbackHost, SocketLike, Timers } from "./types";

type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** Characters of a POST's frames: no more bytes than the least that a server may allow for a frame. A longer frame goes alone. */
const BATCH_CHARS = 20_000;
/** A POST without an answer is sent again under its number, which the server handles once. */
const RETRY_MS = 250;
const RETRIES = 3;
/** How long a socket that was closed may go on sending what it was given before. */
const LINGER_MS = 2_000;

export function createFallback(timers: Timers, host: FallbackHost, fetch: Fetch): Fallback {
  return new Route(timers, host, createHttp(timers, fetch));
}

export function createHttp(timers: Timers, fetch: Fetch): Http {
  return {
    isReachable: async (url) => {
      try {
        return (await fetch(url, { cache: "no-store" })).ok;
      } catch {
        return false;
      }
    },
    openSocket: (url) => new EventSocket(url, timers, fetch),
  };
}

class EventSocket implements SocketLike {
  onopen: SocketLike["onopen"] = null;
  onmessage: SocketLike["onmessage"] = null;
  onclose: SocketLike["onclose"] = null;
  readonly #url: string;
  readonly #timers: Timers;
  readonly #fetch: Fetch;
  readonly #abort = new AbortController();
  /** Where POSTs go; empty until the stream has said its name. */
  #posts = "";
  #sent = 0;
  #queue: string[] = [];
  #isPosting = false;
  #isClosing = false;
  #hasEnded = false;
  #linger: unknown;

  constructor(url: string, timers: Timers, fetch: Fetch) {
    this.#url = url;
    this.#timers = timers;
    this.#fetch = fetch;
    void this.#read();
  }

  send(data: string): void {
    if (this.#isClosing || this.#hasEnded) return;
    this.#queue.push(data);
    void this.#post();
  }

  /** Ends the stream, after what was sent before. */
  close(code = 1000, reason = ""): void {
    if (this.#isClosing || this.#hasEnded) return;
    this.#isClosing = true;
    const end = () => this.#end(code, reason);
    if (this.#isPosting) this.#linger = this.#timers.setTimeout(end, LINGER_MS);
    else end();
  }

  #end(code: number, reason: string): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#queue = [];
    this.#timers.clearTimeout(this.#linger);
    this.#abort.abort();
    this.onclose?.(code, reason);
  }

  async #read(): Promise<void> {
    const events = new EventReader();
    try {
      const { body, ok } = await this.#fetch(this.#url, {
        headers: { accept: "text/event-stream" },
        cache: "no-store",
        signal: this.#abort.signal,
      });
      if (!ok || !body) return this.#end(1006, "the server has no event stream");
      const reader = body.getReader();
      const decoder = new TextDecoder();
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        for (const event of events.push(decoder.decode(part.value, { stream: true }))) this.#heard(event);
      }
    } catch {
      // Aborted, or the network broke. Both are an end.
    }
    this.#end(1006, "the event stream broke off");
  }

  #heard({ name, data }: StreamEvent): void {
    if (this.#hasEnded) return;
    if (name === "message") {
      this.onmessage?.(data);
    } else if (name === "close") {
      const { code, reason } = fields(data);
      this.#end(typeof code === "number" ? code : 1006, typeof reason === "string" ? reason : "");
    } else if (name === "open") {
      this.#posts = `${this.#url.replace(/\?.*/, "")}/${fields(data).id}?n=`;
      this.onopen?.();
      void this.#post();
    }
  }

  /** Sends what waits, one POST at a time: what is sent meanwhile goes together. */
  async #post(): Promise<void> {
    if (this.#isPosting || this.#posts === "") return;
    this.#isPosting = true;
    let status = 204;
    while (this.#queue.length > 0 && status === 204) status = await this.#deliver(++this.#sent, `[${this.#take().join(",")}]`);
    this.#isPosting = false;
    if (this.#isClosing) return this.#end(1000, "");
    // 410 and 413: the stream is about to say why it ends.
    if (status !== 204 && status !== 410 && status !== 413)
      this.#end(1006, `the server did not take what was sent (${status})`);
  }

  #take(): string[] {
    let chars = 0;
    let count = 0;
    for (const frame of this.#queue) {
      chars += frame.length + 1;
      if (count > 0 && chars > BATCH_CHARS) break;
      count++;
    }
    return this.#queue.splice(0, count);
  }

  /** The status of a POST; 0 when there was no answer, however often it was sent. */
  async #deliver(n: number, body: string): Promise<number> {
    for (let tries = 0; ; tries++) {
      const status = await this.#fetchStatus(n, body);
      const isFinal = status !== 0 && status !== 408 && status !== 429 && status < 500;
      if (isFinal || tries === RETRIES || this.#hasEnded) return status;
      await new Promise<void>((done) => this.#timers.setTimeout(done, RETRY_MS * 2 ** tries));
    }
  }

  async #fetchStatus(n: number, body: string): Promise<number> {
    try {
      // Text, for which a browser asks no other server's leave first.
      return (await this.#fetch(this.#posts + n, { method: "POST", body, signal: this.#abort.signal })).status;
    } catch {
      return 0;
    }
  }
}

/** The keys of a JSON object; none when it is something else. */
function fields(json: string): Readonly<Record<string, unknown>> {
  const value: unknown = JSON.parse(json);
  return typeof value === "object" && value !== null ? { ...value } : {};
}
