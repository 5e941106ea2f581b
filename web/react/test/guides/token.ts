import { ChoraleError } from "@chorale/client";

/** Asks the backend, and asks it anew when the server did not take what it said last. */
export function tokenFrom(endpoint: string, request: typeof fetch = fetch) {
  return async ({ refused }: { refused: boolean }): Promise<string> => {
    const response = await request(endpoint, { method: "POST", cache: refused ? "reload" : "default" });
    // Only a person can help: the status becomes `needs-auth`, until `reconnect()`.
    if (response.status === 401) throw new ChoraleError("signed_out", "sign in again");
    if (!response.ok) throw new Error(`the token endpoint answered ${response.status}`);
    const { token }: { token: string } = await response.json();
    return token;
  };
}
