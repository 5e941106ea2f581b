import { network } from "./cases/network.js";
import { presence } from "./cases/presence.js";
import { talk } from "./cases/talk.js";
import { tokens } from "./cases/tokens.js";

/**
 * One column of the matrix.
 *
 * @typedef {object} Case
 * @property {string} column its head in the table
 * @property {string} title what is promised, with the rule's number
 * @property {(client: import("./clients.js").Client) => string | undefined} [not] why a client cannot do it, in words for the table
 * @property {(cell: import("./cell.js").Cell) => Promise<void>} [lacks] runs instead for such a client, and shows that it is so
 * @property {(client: import("./clients.js").Client) => string | undefined} [note] how a client does it, when that differs
 * @property {boolean} [alone] takes the whole machine: nothing runs beside it
 * @property {(cell: import("./cell.js").Cell) => Promise<void>} run
 */

/** @type {Case[]} */
export const cases = [...talk, ...tokens, ...presence, ...network];

/** Rules with one kind of channel for each way to be treated. */
export const rules = `
channels:
  - match: "team:{name}"
    join: 'claims.role in ["authenticated", "bot"]'
    publish: 'claims.role == "authenticated"'
    presence: 'claims.role == "authenticated"'
    history: { messages: 1000, age: 1h }
  - match: "brief:{name}"
    join: 'true'
    publish: 'true'
    history: { messages: 1, age: 1h }
  - match: "slow:{name}"
    join: 'true'
    publish: 'true'
    limits: { messagesPerSecond: 1 } # ten at once, in the proportion of the server's own
  - match: "flood:{name}"
    join: 'true'
    publish: 'true'
    limits: { messagesPerSecond: 10000, bytesPerSecond: 100000000, channelMessagesPerSecond: 20000, channelBytesPerSecond: 200000000 }
`;
