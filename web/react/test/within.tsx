import type { RealtimeClient } from "@chorale/client";
import type { ReactNode } from "react";
import { RealtimeProvider } from "../src/index.ts";

/** A wrapper for `render` and `renderHook`. */
export function within(client: RealtimeClient) {
  return ({ children }: { children: ReactNode }) => <RealtimeProvider client={client}>{children}</RealtimeProvider>;
}
