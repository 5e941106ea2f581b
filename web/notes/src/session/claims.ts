/** Who a token says that its bearer is. */
export interface Claims {
  readonly sub: string;
  readonly name?: string;
  readonly role?: string;
  /** When it ends, in ms since 1970. */
  readonly expiresAt: number;
}

/**
 * Reads the claims of a JWT without checking its signature: the server does that, the app only wants to know whose token it is.
 * Returns undefined for what is no token, or one without `sub` or `exp`.
 */
export function readClaims(token: string): Claims | undefined {
  const payload = parseObject(decodeBase64Url(token.trim().split(".")[1] ?? ""));
  const { sub, name, role, exp } = payload ?? {};
  if (typeof sub !== "string" || typeof exp !== "number") return undefined;
  return {
    sub,
    expiresAt: exp * 1000,
    ...(typeof name === "string" ? { name } : {}),
    ...(typeof role === "string" ? { role } : {}),
  };
}

function decodeBase64Url(text: string): string {
  try {
    const bytes = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0));
    return new TextDecoder().decode(bytes);
  } catch {
    return "";
  }
}

export function parseObject(text: string | null): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text ?? "");
    return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}
