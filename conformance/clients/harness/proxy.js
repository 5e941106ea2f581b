import { connect, createServer } from "node:net";

/**
 * A link between a client and a server that can fail in the two ways in which links do: cut, when both ends are told at once, and
 * black-holed, when nobody is told anything and bytes only stop coming.
 *
 * What was open before stays as it is: a link that fell into the hole does not recover, and new ones work again at once. That is
 * what a client sees whose Wi-Fi has moved to another network.
 */
export class Link {
  #listener;
  #pairs = new Set();

  /** Use `Link.to`. */
  constructor(listener) {
    this.#listener = listener;
  }

  /**
   * A link to a server on this machine.
   *
   * @param {{port: number}} server
   */
  static async to(server) {
    const listener = createServer({ noDelay: true });
    const link = new Link(listener);
    listener.on("connection", (near) => link.#join(near, connect({ port: server.port, host: "127.0.0.1", noDelay: true })));
    await new Promise((done) => listener.listen(0, "127.0.0.1", done));
    return link;
  }

  /** Where clients find the server at the other end, without a slash at the end. */
  get url() {
    return `http://127.0.0.1:${this.#listener.address().port}`;
  }

  /** Resets what is open, at both ends. */
  cut() {
    for (const end of this.#ends()) end.resetAndDestroy();
  }

  /** Lets what is open hang: no byte, no end, no reset goes through any more, in either direction. */
  blackHole() {
    for (const pair of this.#pairs) pair.hole = true;
    for (const end of this.#ends()) end.unpipe();
    // Read on and forget, as a network that drops packets would: the ends notice nothing.
    for (const end of this.#ends()) end.resume();
  }

  /** Ends the link and everything on it. */
  async close() {
    this.cut();
    await new Promise((done) => this.#listener.close(done));
  }

  #ends() {
    return [...this.#pairs].flatMap(({ near, far }) => [near, far]);
  }

  #join(near, far) {
    const pair = { near, far, hole: false };
    this.#pairs.add(pair);
    near.pipe(far);
    far.pipe(near);
    for (const [end, other] of [
      [near, far],
      [far, near],
    ]) {
      end.on("error", () => {}); // what matters follows as "close"
      end.on("close", () => {
        if (!pair.hole) other.destroy();
        if (near.destroyed && far.destroyed) this.#pairs.delete(pair);
      });
    }
  }
}
