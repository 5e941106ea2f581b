import { Connection, type ConnectionOptions } from "../src/connection";
import { createFakePlatform, type FakePlatform } from "../src/testing/platform";
import { TokenSource } from "../src/token";
import type { RealtimeClientOptions, SocketLike } from "../src/types";

/** A client's socket whose other end the test holds. */
export class Wire implements SocketLike {
  readonly url: string;
  readonly sent: string[] = [];
  isClosed = false;
  onopen: (() => void) | null = null;
  onmessage: ((data: string) => void) | null = null;
  onclose: ((code: number, reason: string) => void) | null = null;

  constructor(url: string) {
    this.url = url;
  }

  send(data: string): void {
    this.sent.push(data);
  }

  close(): void {
    this.isClosed = true;
  }

  /** The handshake is done, and the first heartbeat answered: this counts as open. */
  open(): void {
    this.onopen?.();
    this.answer();
  }

  /** Answers the newest push. */
  answer(): void {
    const [, ref, topic] = JSON.parse(this.sent.at(-1) ?? "[]") as [string, string, string];
    this.say(`[null,"${ref}","${topic}","phx_reply",{"status":"ok","response":{}}]`);
  }

  say(data: string): void {
    this.onmessage?.(data);
  }

  /** The other side, or the network, ends it. */
  lose(code = 1006, reason = ""): void {
    this.isClosed = true;
    this.onclose?.(code, reason);
  }
}

/** A connection whose sockets and tokens the test holds. */
export function setUp(
  options: { platform?: FakePlatform; getToken?: RealtimeClientOptions["getToken"] } & Partial<ConnectionOptions> = {},
) {
  const platform = options.platform ?? createFakePlatform();
  const wires: Wire[] = [];
  platform.connectTo((url) => {
    const wire = new Wire(url);
    wires.push(wire);
    return wire;
  });
  const asked: number[] = [];
  const getToken: RealtimeClientOptions["getToken"] = (why) => {
    asked.push(platform.now());
    return (options.getToken ?? (() => "token"))(why);
  };
  const tokens: string[] = [];
  const connection: Connection = new Connection({
    url: "http://server",
    platform,
    tokens: new TokenSource(getToken, platform, (token) => {
      tokens.push(token);
      connection.tokenRenewed();
    }),
    blipMs: 5_000,
    ...options,
  });
  return {
    platform,
    connection,
    wires,
    /** When a token was asked for. */
    asked,
    /** Tokens that took another one's place. */
    tokens,
    status: () => connection.snapshot.getSnapshot().status,
    live: () => wires.filter((wire) => !wire.isClosed),
    newest: () => {
      const wire = wires.at(-1);
      if (!wire) throw new Error("no socket was opened");
      return wire;
    },
  };
}

/** A token whose claims a client can read. */
export function jwt(claims: object): string {
  return `e30.${btoa(JSON.stringify(claims)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")}.s`;
}
