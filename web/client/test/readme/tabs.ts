import { createRealtimeClient } from "@chorale/client";
import { shareSocket } from "@chorale/client/tabs";

export const openShared = (url: string, getToken: () => Promise<string>) =>
  createRealtimeClient({ url, getToken, platform: shareSocket() });
