import { connect, createServer } from "node:net";

/**
 * A wire between a page and the server that can be cut, and that can be held: what is sent while it is held arrives when it is let
 * go. It makes two people write at the same moment, whatever the machine is doing, and a network that fails without a word.
 */
export class Wire {
  #server;
  #ends = new Set();
  #isCut = false;
  #isHeld = false;

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

  /** Ends every connection without a word, and lets no new one through until `mend`. */
  cut() {
    this.#isCut = true;
    for (const end of this.#ends) end.destroy();
  }

  mend() {
    this.#isCut = false;
  }

  /** Keeps what either side sends. */
  hold() {
    this.#isHeld = true;
    for (const end of this.#ends) end.pause();
  }

  /** Lets it go, in order. */
  letGo() {
    this.#isHeld = false;
    for (const end of this.#ends) end.resume();
  }

  async close() {
    this.cut();
    await new Promise((done) => this.#server.close(done));
  }

  #join(page, server) {
    for (const [from, to] of [
      [page, server],
      [server, page],
    ]) {
      this.#ends.add(from);
      from.on("data", (bytes) => to.write(bytes));
      from.on("end", () => to.end());
      from.on("error", () => {}); // its close follows, and tells the other end
      from.on("close", () => {
        this.#ends.delete(from);
        to.destroy();
      });
      if (this.#isHeld) from.pause();
    }
    if (this.#isCut) page.destroy();
  }
}
