import { connect, createServer } from "node:net";

/**
 * A wire between a page and the server that can be cut, and that can be held: what is sent while it is held arrives when it is let
 * go. It makes two people write at the same moment, whatever the machine is doing, and a network that fails without a word.
 */
export class Wire {
  #server;
  /** The sockets of the pages, and those to the server. */
  #pages = new Set();
  #servers = new Set();
  #isCut = false;

  /** Use `Wire.to`. */
  constructor(target) {
    this.#server = createServer((page) => this.#join(page, connect(Number(target.port), target.hostname)));
  }

  /** A wire to a server's address, on a free port of its own. */
  static async to(url) {
    const wire = new Wire(new URL(url));
    await new Promise((done) => wire.#server.listen(0, "127.0.0.1", done));
    return wire;
  }

  /** Where a page finds the server through this wire. */
  get url() {
    return `http://127.0.0.1:${this.#server.address().port}`;
  }

  /** Ends every connection without a word, and lets no new one through until `mend`. What was held is lost. */
  cut() {
    this.#isCut = true;
    for (const end of [...this.#pages, ...this.#servers]) end.destroy();
  }

  mend() {
    this.#isCut = false;
  }

  /** Keeps what either side sends over the connections that there are. */
  hold() {
    for (const end of [...this.#pages, ...this.#servers]) end.pause();
  }

  /** Keeps what the server sends. */
  holdAnswers() {
    for (const end of this.#servers) end.pause();
  }

  /** Lets it go, in order. */
  letGo() {
    for (const end of [...this.#pages, ...this.#servers]) end.resume();
  }

  async close() {
    this.cut();
    await new Promise((done) => this.#server.close(done));
  }

  #join(page, server) {
    this.#pass(page, server, this.#pages);
    this.#pass(server, page, this.#servers);
    if (this.#isCut) page.destroy();
  }

  #pass(from, to, ends) {
    ends.add(from);
    from.on("data", (bytes) => to.write(bytes));
    from.on("end", () => to.end());
    from.on("error", () => {}); // its close follows, and tells the other end
    from.on("close", () => {
      ends.delete(from);
      to.destroy();
    });
  }
}
