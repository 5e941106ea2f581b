import { createHmac } from "node:crypto";

/** Who is signed in, from wherever your app keeps that. */
export type WhoIs<R extends Request> = (request: R) => Promise<{ id: string; name: string } | undefined>;

const base64url = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");

/** Signs for an hour; the client asks again before that. The secret is the server's `--jwt-secret`. */
export function signToken(user: { id: string; name: string }, secret: string, now = Date.now()): string {
  const claims = { sub: user.id, name: user.name, role: "authenticated", exp: Math.floor(now / 1000) + 3_600 };
  const signed = `${base64url({ alg: "HS256", typ: "JWT" })}.${base64url(claims)}`;
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}

export function tokenRoute<R extends Request>(whoIs: WhoIs<R>, secret: string) {
  return async function POST(request: R): Promise<Response> {
    const user = await whoIs(request);
    return user ? Response.json({ token: signToken(user, secret) }) : new Response("sign in first", { status: 401 });
  };
}
