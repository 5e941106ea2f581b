/** A guest of a server in dev mode. The same `sub` makes the same person again. */
export async function guestToken(): Promise<string> {
  const response = await fetch("/dev/token", { method: "POST", body: JSON.stringify({ name: "Ada" }) });
  if (!response.ok) throw new Error(`no guest token: HTTP ${response.status}`);
  const { token }: { token: string } = await response.json();
  return token;
}
