import { createServer, request } from "node:http";
import { connect } from "node:net";

/**
 * A proxy as some companies have it: it passes HTTP on and refuses WebSockets, until it is told to `allow` them.
 */
export class CompanyProxy {
  #server;
  #target;
  #isBlocking = true;
  #ends = new Set();
  /** Open ones, of pages to the server. */
  streams = 0;
  sockets = 0;
  /** WebSockets that were refused. */
  refused = 0;

  /** Use `CompanyProxy.to`. */
  constructor(target) {
    this.#target = target;
    this.#server = createServer((page, answer) => this.#pass(page, answer));
    this.#server.on("upgrade", (page, end, head) => this.#upgrade(page, end, head));
  }

  /** A proxy to a server's address, on a free port of its own. */
  static async to(url) {
    const proxy = new CompanyProxy(new URL(url));
    await new Promise((done) => proxy.#server.listen(0, "127.0.0.1", done));
    return proxy;
  }

  /** Where a page finds the server through this proxy. */
  get url() {
    return `http://127.0.0.1:${this.#server.address().port}`;
  }

  /** Lets WebSockets through from now on. */
  allow() {
    this.#isBlocking = false;
  }

  async close() {
    for (const end of this.#ends) end.destroy();
    this.#server.closeAllConnections();
    await new Promise((done) => this.#server.close(done));
  }

  #pass(page, answer) {
    const { method, url: path, headers } = page;
    const isStream = method === "GET" && path.startsWith("/socket/sse");
    if (isStream) this.streams++;
    const onward = request({ host: this.#target.hostname, port: this.#target.port, method, path, headers }, (theirs) => {
      answer.writeHead(theirs.statusCode, theirs.headers);
      theirs.pipe(answer);
    });
    onward.on("error", () => answer.destroy());
    answer.on("close", () => {
      if (isStream) this.streams--;
      onward.destroy();
    });
    page.pipe(onward);
  }

  #upgrade(page, end, head) {
    end.on("error", () => {}); // its close follows
    if (this.#isBlocking) {
      this.refused++;
      end.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
      return;
    }
    this.sockets++;
    const onward = connect(Number(this.#target.port), this.#target.hostname);
    this.#ends.add(end).add(onward);
    const fields = page.rawHeaders.map((text, i) => (i % 2 === 0 ? `${text}: ` : `${text}\r\n`)).join("");
    onward.write(`${page.method} ${page.url} HTTP/1.1\r\n${fields}\r\n`);
    onward.write(head);
    onward.pipe(end);
    end.pipe(onward);
    onward.on("error", () => end.destroy());
    onward.on("close", () => end.destroy());
    end.on("close", () => {
      this.sockets--;
      this.#ends.delete(end);
      this.#ends.delete(onward);
      onward.destroy();
    });
  }
}
