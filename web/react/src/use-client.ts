import type { RealtimeClient } from "@chorale/client";
import { useRealtimeContext } from "./context.ts";

/** The provider's client, for what no hook covers. The same object in every render. */
export function useClient(): RealtimeClient {
  return useRealtimeContext().client;
}
