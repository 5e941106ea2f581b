import { createRealtimeClient } from "@chorale/client";
import { offline } from "@chorale/client/offline";

export function openKept(url: string, getToken: () => Promise<string>, sub: string) {
  const client = createRealtimeClient({ url, getToken, storage: offline({ user: sub }) });
  const show = () => console.log(client.storage.getSnapshot()); // { mode: "device" }, or "memory" and the reason
  client.storage.subscribe(show);
  return { client, signOut: () => client.clear() };
}
