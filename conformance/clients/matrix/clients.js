import { phoenix } from "./phoenix.js";
import { realtime, supabase } from "./realtime.js";

/**
 * One row of the matrix: a client as npm has it, and the version of the wire that it speaks.
 *
 * @typedef {object} Client
 * @property {string} name
 * @property {string} version the exact one, as package.json pins it
 * @property {"1.0.0" | "2.0.0"} vsn
 * @property {"supabase" | "phoenix"} family
 * @property {(options: import("./realtime.js").PartyOptions) => Promise<import("./realtime.js").Party>} connect
 */

/**
 * Rows per client: `vsns` are the versions of the wire that it can speak. realtime-js knows 2.0.0 since 2.81, before that it is
 * always 1.0.0; stock phoenix writes and reads the arrays of 2.0.0 and nothing else.
 */
const family = (name, version, vsns, adapter, module) =>
  vsns.map((vsn) => {
    const row = { name, version, vsn, family: name === "phoenix" ? "phoenix" : "supabase" };
    return { ...row, connect: (options) => adapter(module, row, options) };
  });

/** @type {Client[]} */
export const clients = [
  ...family("supabase-js", "2.119.1", ["2.0.0", "1.0.0"], supabase, "@supabase/supabase-js"),
  ...family("realtime-js", "2.119.1", ["2.0.0", "1.0.0"], realtime, "realtime-js-2.119"),
  ...family("realtime-js", "2.110.9", ["2.0.0", "1.0.0"], realtime, "realtime-js-2.110"),
  ...family("realtime-js", "2.99.3", ["2.0.0", "1.0.0"], realtime, "realtime-js-2.99"),
  ...family("realtime-js", "2.74.0", ["1.0.0"], realtime, "realtime-js-2.74"),
  ...family("realtime-js", "2.11.15", ["1.0.0"], realtime, "realtime-js-2.11"),
  ...family("phoenix", "1.8.16", ["2.0.0"], phoenix, "phoenix"),
  ...family("phoenix", "1.7.23", ["2.0.0"], phoenix, "phoenix-1.7"),
];

/** Who is at the other end where a case needs somebody whose behaviour is not in question. */
export const reference = clients[0];

/** Whether a client is at least of a version, such as "2.76". */
export function atLeast(client, version) {
  const [a, b] = [client.version, version].map((v) => v.split(".").map(Number));
  return a[0] !== b[0] ? a[0] > b[0] : a[1] >= b[1];
}
