// What both servers do before they let anybody in: check an HS256 token, as Chorale and Centrifugo do.
import { createHmac, timingSafeEqual } from "node:crypto";

const at = process.argv.indexOf("--secret");
if (at < 0) {
  console.error("usage: node SERVER.mjs --secret SECRET");
  process.exit(2);
}
const secret = process.argv[at + 1];

/** Whether a token was signed with the secret and has not expired. */
export function valid(token) {
  const [head, body, signature] = (token ?? "").split(".");
  if (!signature) return false;
  const want = createHmac("sha256", secret).update(`${head}.${body}`).digest();
  const got = Buffer.from(signature, "base64url");
  if (got.length !== want.length || !timingSafeEqual(got, want)) return false;
  return JSON.parse(Buffer.from(body, "base64url").toString()).exp > Date.now() / 1000;
}

/** Listens on a free port of the loopback interface and says where, as `chorale serve` does. */
export function listen(server) {
  server.listen(0, "127.0.0.1", 4096, () => console.log(`listening on http://127.0.0.1:${server.address().port}`));
  process.on("SIGTERM", () => process.exit(0));
}
