import { createRealtimeClient, type RealtimeClient } from "@chorale/client";
import { offline } from "@chorale/client/offline";

/** `sub` is the one in the tokens: what Ada has written is never sent as Ben. */
export function openClient(url: string, sub: string, getToken: () => Promise<string>): RealtimeClient {
  return createRealtimeClient({ url, getToken, storage: offline({ user: sub, app: "tasks" }) });
}
