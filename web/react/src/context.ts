import type { RealtimeClient } from "@chorale/client";
import { createContext, useContext } from "react";
import type { Holds } from "./holds.ts";
import type { InterviewFeed } from "./interview-feed.ts";

/** What a provider gives to the hooks below it. The same object for as long as its client is the same. */
export interface Realtime {
  readonly client: RealtimeClient;
  readonly holds: Holds;
  readonly feed: InterviewFeed;
}

export const RealtimeContext = /* @__PURE__ */ createContext<Realtime | undefined>(undefined);

/** The nearest provider's. Throws outside of one. */
export function useRealtimeContext(): Realtime {
  const realtime = useContext(RealtimeContext);
  if (realtime === undefined) throw new Error("Chorale hooks need a <RealtimeProvider>");
  return realtime;
}
