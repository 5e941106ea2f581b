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
  const binary = atob(claims.replaceAll("-", "+").replaceAll("_", "/"));
  const bytes = Uint8Array.from(binary, (char) => char.charCodeAt(0));
  const parsed: unknown = JSON.parse(new TextDecoder().decode(bytes));
  if (!isObject(parsed)) return undefined;
  const { sub, role, exp } = parsed;
  if (typeof sub !== "string" || typeof role !== "string" || typeof exp !== "number") return undefined;
  return { sub, role, expiresAt: exp * 1000 };
}

const SIGNATURE = "fake";

function base64url(text: string): string {
  const binary = String.fromCharCode(...new TextEncoder().encode(text));
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
