import type { RealtimeClient } from "@chorale/client";

/** For `beforeunload`: asks only when something would be lost. What is kept on the device is sent by the next page. */
export function guard(client: RealtimeClient, event: Pick<Event, "preventDefault">): void {
  const { mode } = client.storage.getSnapshot();
  if (client.pendingCount.getSnapshot() > 0 && mode !== "device") event.preventDefault();
}

/** Signs out: nothing of this person stays on the device, in no tab. False when they would rather wait for what is unsent. */
export async function signOut(client: RealtimeClient, confirm: (text: string) => boolean): Promise<boolean> {
  const unsent = client.pendingCount.getSnapshot();
  if (unsent > 0 && !confirm(`${unsent} changes are not sent yet and will be lost. Sign out?`)) return false;
  await client.clear();
  return true;
}
