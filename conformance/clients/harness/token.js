import { createHmac } from "node:crypto";

/** The secret of the servers that these tests start. */
export const secret = "a secret that only the tests of this project know";

const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

/**
 * A token as an application's backend makes it (HS256).
 *
 * @param {Record<string, unknown>} [claims] over `sub: "ada"`, `role: "authenticated"` and an hour to live; `exp` is in seconds
 *   since 1970 and may have decimals
 * @param {string} [key] the secret
 */
export function token(claims = {}, key = secret) {
  const body = { sub: "ada", role: "authenticated", exp: Math.floor(Date.now() / 1000) + 3600, ...claims };
  const signed = `${encode({ alg: "HS256", typ: "JWT" })}.${encode(body)}`;
  return `${signed}.${createHmac("sha256", key).update(signed).digest("base64url")}`;
}

/** The `exp` of a token that is good for this long. */
export const expiresIn = (ms) => (Date.now() + ms) / 1000;
