import { randomUUID } from "node:crypto";
import { Link } from "../harness/proxy.js";
import { token } from "../harness/token.js";
import { reference } from "./clients.js";

/**
 * What one cell of the matrix works with: a client, names that nobody else uses, and an end that leaves nothing behind, so that all
 * cells can share one server.
 */
export class Cell {
  #server;
  #ends = [];
  #id = randomUUID().slice(0, 8);

  /**
   * @param {import("../harness/server.js").Server} server
   * @param {import("./clients.js").Client} client
   */
  constructor(server, client) {
    this.#server = server;
    this.client = client;
  }

  /** A name for a channel of this cell; `prefix` is what a rule matches, such as "team:". */
  name(prefix = "") {
    return `${prefix}${this.#id}`;
  }

  /**
   * A party with the cell's client.
   *
   * @param {object} [claims] of its token
   * @param {{url?: string, heartbeatMs?: number, reconnectMs?: number}} [options]
   */
  party(claims, options) {
    return this.#connect(this.client, claims, options);
  }

  /** A party whose behaviour is not in question. */
  reference(claims) {
    return this.#connect(reference, claims);
  }

  /** A link to the server that can fail. */
  async link() {
    const link = await Link.to(this.#server);
    this.#ends.unshift(() => link.close()); // after its parties, which would come back otherwise
    return link;
  }

  /** A token of this cell: another `sub` each time. */
  token(claims = {}) {
    return token({ sub: `${this.#id}-${randomUUID()}`, ...claims });
  }

  /** Ends everything that the cell began, the newest first. */
  async end() {
    for (const end of this.#ends.reverse()) await end();
  }

  async #connect(client, claims, options = {}) {
    const party = await client.connect({ url: this.#server.url, token: this.token(claims), ...options });
    this.#ends.push(() => party.close());
    return party;
  }
}
