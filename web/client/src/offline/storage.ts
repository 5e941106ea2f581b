import type { Device } from "../device";
import { ChoraleError } from "../errors";
import type { ChannelKeeper, ClientStorage, KeeperSource } from "../keeper";
import type { Platform, RealtimeClient, StorageSnapshot, Store } from "../types";
import { Database } from "./database";
import { Keeper, quietly } from "./keeper";
import type { OutboxRow } from "./schema";
import { Tabs } from "./tabs";

/** Caches are cut down when the origin uses more than this, in bytes, or so much of what it may use. */
const MAX_BYTES = 200e6;
const MAX_SHARE = 0.8;
/** How many channels of tabs that are gone are joined at once, and for how long they are held at least, in ms. */
const RESCUES = 20;
const RESCUE_MS = 5_000;

export interface DeviceStorageOptions {
  readonly name: string;
  readonly user: string;
  readonly maxChannels: number;
  readonly device: Device;
  readonly client: RealtimeClient;
  readonly platform: Platform;
}

/** One user's data in the browser's database, shared by all tabs. */
export class DeviceStorage implements ClientStorage {
  readonly user: string;
  readonly #options: DeviceStorageOptions;
  readonly #db: Database;
  readonly #tabs: Tabs;
  readonly #keepers = new Map<string, Keeper>();
  #isOpen = false;
  #isClosed = false;
  #hasAsked = false;

  constructor(options: DeviceStorageOptions) {
    const { name, user, device, platform, client } = options;
    this.#options = options;
    this.user = user;
    this.#db = new Database(name, device, platform);
    this.#db.onFull = () => this.#evict(0);
    this.#tabs = new Tabs({ name, tab: client.clientId, device, platform, onOrphans: () => void this.#rescue() });
  }

  get state(): Store<StorageSnapshot> {
    return this.#db.state;
  }

  open(): void {
    if (this.#isOpen || this.#isClosed) return;
    this.#isOpen = true;
    this.#tabs.start();
    void this.#tidy();
  }

  channel(channel: string, source: KeeperSource): ChannelKeeper {
    this.open();
    const { platform, client } = this.#options;
    const keeper: Keeper = new Keeper({
      ...{ channel, tab: client.clientId, db: this.#db, platform, source },
      alive: () => this.#tabs.alive(),
      onKept: () => this.#persist(),
      onUnreadable: (rows) => {
        const message = `${rows} writes to ${channel} were kept by another version of this app; they stay where they are`;
        platform.reportError(new ChoraleError("outbox_unreadable", message));
      },
    });
    this.#keepers.set(channel, keeper);
    return keeper;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#tabs.stop();
    void this.#idle().then(() => this.#db.close());
  }

  async clear(): Promise<void> {
    await this.#idle();
    await this.#db.delete();
  }

  async #idle(): Promise<void> {
    await Promise.all([...this.#keepers.values()].map((keeper) => keeper.idle()));
  }

  // ---- what tabs have left behind

  async #rescue(): Promise<void> {
    const { client, platform } = this.#options;
    const rows = await this.#db.run("readonly", (tx) => tx.objectStore("outbox").getAll());
    if (rows === undefined || this.#isClosed) return;
    const alive = await this.#tabs.alive();
    const byChannel = new Map<string, OutboxRow[]>();
    for (const row of rows) {
      if (!alive.has(row.tab)) byChannel.set(row.channel, [...(byChannel.get(row.channel) ?? []), row]);
    }
    const isOpen = new Set(client.channels.list());
    for (const [key, orphans] of [...byChannel].slice(0, RESCUES)) {
      const name = key.slice(key.indexOf(":") + 1);
      if (isOpen.has(name)) this.#keepers.get(key)?.source.adopt(await this.#ordered(key, orphans));
      else {
        // Reads the rows when it begins, and lasts until they have settled.
        const claim = client.channels.getChannel({ name, private: key.startsWith("private:") });
        platform.setTimeout(() => claim.release(), RESCUE_MS);
      }
    }
    if (byChannel.size > RESCUES) platform.setTimeout(() => void this.#rescue(), 2 * RESCUE_MS);
  }

  async #ordered(key: string, rows: readonly OutboxRow[]) {
    return (await this.#keepers.get(key)?.orphans(rows)) ?? [];
  }

  // ---- what is kept for how long

  /** Asks once that nothing is evicted, when there is something that only this device has: some browsers ask the person. */
  #persist(): void {
    const { device, client } = this.#options;
    if (this.#hasAsked || client.connection.getSnapshot().isConnected) return;
    this.#hasAsked = true;
    device.persist?.().catch(() => {}); // refused: it is kept all the same, as long as there is room
  }

  async #tidy(): Promise<void> {
    const { device, maxChannels, platform } = this.#options;
    try {
      if (!(await this.#db.open())) return;
      const { usage = 0, quota = Number.POSITIVE_INFINITY } = (await device.estimate?.()) ?? {};
      const isMuch = usage > Math.min(MAX_BYTES, quota * MAX_SHARE);
      await this.#evict(isMuch ? Math.floor(maxChannels / 2) : maxChannels);
    } catch (error) {
      platform.reportError(error);
    }
  }

  /** Forgets all but so many channels, the longest unused first; never one that is in use here, or has writes to be sent. */
  async #evict(leave: number): Promise<void> {
    await this.#db.run("readwrite", async (tx) => {
      const [byUse, unsent] = await Promise.all([
        tx.objectStore("channels").index("usedAt").getAllKeys(),
        tx.objectStore("outbox").getAllKeys(),
      ]);
      const isNeeded = new Set([...this.#keepers.keys(), ...unsent.map(([channel]) => channel)]);
      for (const channel of byUse.slice(0, Math.max(0, byUse.length - leave)).filter((key) => !isNeeded.has(key))) {
        quietly(tx.objectStore("channels").delete?.(channel));
        quietly(tx.objectStore("records").delete?.(this.#db.within(channel)));
      }
    });
  }
}
