import { isObject } from "../protocol";

/** Who a token says somebody is. */
export interface FakeIdentity {
  readonly sub: string;
  readonly role: string;
  /** ms since 1970. */
  readonly expiresAt: number;
}

/** A JWT as clients can read it, with a signature that only a fake server takes for one. */
export function encodeToken({ sub, role, expiresAt }: FakeIdentity): string {
  const claims = { sub, role, exp: Math.floor(expiresAt / 1000) };
  return [{ alg: "none", typ: "JWT" }, claims].map((part) => `${base64url(JSON.stringify(part))}.`).join("") + SIGNATURE;
}

/** The identity in a token; undefined for what is no token of a fake server. */
export function decodeToken(token: string): FakeIdentity | undefined {
  const [, claims, signature] = token.split(".");
  if (claims === undefined || signature !== SIGNATURE) return undefined;
  const parsed = parse(claims);
  if (!isObject(parsed)) return undefined;
  const { sub, role, exp } = parsed;
  if (typeof sub !== "string" || typeof role !== "string" || typeof exp !== "number") return undefined;
  return { sub, role, expiresAt: exp * 1000 };
}

const SIGNATURE = "fake";

function parse(base64url: string): unknown {
  try {
    const binary = atob(base64url.replaceAll("-", "+").replaceAll("_", "/"));
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(binary, (char) => char.charCodeAt(0))));
  } catch {
    return undefined; // no base64, or no JSON
  }
}

function base64url(text: string): string {
  const binary = String.fromCharCode(...new TextEncoder().encode(text));
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
