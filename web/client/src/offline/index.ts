/**
 * Records and unsent writes that survive: a reload, a crash, days without a network. An entry of its own, because it costs an app that
 * does not use it nothing.
 *
 *     const client = createRealtimeClient({ url, getToken, storage: offline({ user: session.sub }) });
 *     client.storage.subscribe(() => show(client.storage.getSnapshot())); // { mode: "device" }, or "memory" and why
 *     await client.clear(); // when somebody signs out
 */

import { createDevice, type Device } from "../device";
import type { StorageFactory } from "../keeper";
import { DeviceStorage } from "./storage";

export interface OfflineOptions {
  /** Whose data it is: the `sub` of the tokens. Each user has a database of their own, and nobody sends what another wrote. */
  user: string;
  /** Sets apart what several apps of one origin keep. Default `app`. */
  app?: string;
  /** How many channels are kept at most; the longest unused go first. What was not sent stays whatever happens. Default 200. */
  maxChannels?: number;
  /** The environment: replace parts of it in tests. */
  device?: Device;
}

/** For the option `storage` of a client. Opens nothing until the client is used. */
export function offline({ user, app = "app", maxChannels = 200, device = createDevice() }: OfflineOptions): StorageFactory {
  return (client, platform) =>
    new DeviceStorage({ name: `chorale/${app}/${user}`, user, maxChannels, device, client, platform });
}

export type { BroadcastLike, Device } from "../device";
