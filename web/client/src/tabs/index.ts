/**
 * One socket for all tabs of a browser. An entry of its own, because it costs an app that does not use it nothing.
 *
 *     const client = createRealtimeClient({ url, getToken, platform: shareSocket() });
 *
 * One tab leads: it holds the socket, and carries the connections of the others, each in a lane of its own with its own token. To a
 * client, and to the server, each tab is a connection like any other. A tab may close at any time; those whose connection it carried come
 * back over another, and resume.
 */
import { createDevice, type Device } from "../device";
import { createPlatform } from "../env";
import type { Platform } from "../types";
import { Tabs } from "./tabs";
import { partsOf } from "./wire";

export interface ShareOptions {
  /** The environment of the client: what is replaced of it. */
  platform?: Partial<Platform>;
  /** How tabs know of each other: replace it in tests. */
  device?: Pick<Device, "locks" | "openBroadcast">;
}

/**
 * For the option `platform` of a client. Opens nothing until the client connects. Where there are no Web Locks or no BroadcastChannel (pages
 * from plain http but for localhost, servers, old browsers) each tab has a socket of its own, and so it has with a server that is too
 * old for lanes.
 */
export function shareSocket({ platform: replaced = {}, device = createDevice() }: ShareOptions = {}): Partial<Platform> {
  const platform = createPlatform(replaced);
  const byServer = new Map<string, Tabs>();
  const openSocket: Platform["openSocket"] = (url) => {
    const { locks, openBroadcast } = device;
    const { server } = partsOf(url);
    if (!locks || !openBroadcast || !server.includes("/websocket?")) return platform.openSocket(url);
    let tabs = byServer.get(server);
    if (!tabs) {
      tabs = new Tabs({ name: `chorale/tabs/${server}`, locks, openBroadcast, platform });
      byServer.set(server, tabs);
    }
    return tabs.open(url);
  };
  return { ...replaced, openSocket, steady: platform.steady }; // one worker for both
}

export type { BroadcastLike, Device } from "../device";
