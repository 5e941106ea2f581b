import type { RealtimeClient, StorageSnapshot } from "@chorale/client";

const BECAUSE: Record<NonNullable<StorageSnapshot["reason"]>, string> = {
  off: "",
  unavailable: " (this browser keeps nothing: a private window?)",
  blocked: " (another tab runs another version of this app)",
  full: " (this device is full)",
  broken: " (this browser's storage broke)",
  cleared: " (signed out in another tab)",
};

/** Calls back with what a person should know, now and whenever it changes. */
export function tellState(client: RealtimeClient, show: (text: string) => void): () => void {
  const tell = () => {
    const { status } = client.connection.getSnapshot();
    const { mode, reason = "off" } = client.storage.getSnapshot();
    const pending = client.pendingCount.getSnapshot();
    const where = mode === "device" ? "kept on this device" : `only in this tab${BECAUSE[reason]}`;
    show([status, ...(pending > 0 ? [`${pending} unsent, ${where}`] : [])].join(" · "));
  };
  tell();
  const stops = [client.connection, client.storage, client.pendingCount].map((store) => store.subscribe(tell));
  return () => {
    for (const stop of stops) stop();
  };
}
