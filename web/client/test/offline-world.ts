/** A person at a browser with tabs, at a fake server whose network comes and goes. */
import "fake-indexeddb/auto";
import { IDBFactory } from "fake-indexeddb";
import { createRealtimeClient } from "../src/client";
import { type OfflineOptions, offline } from "../src/offline";
import { createFakeBrowser, createFakePlatform, createFakeServer, type FakeRules, type FakeTab } from "../src/testing";
import type { RealtimeClientOptions } from "../src/types";
import { type Fields, ROOM } from "./people";

export function createWorld({ seed = 1, rules = {} }: { seed?: number; rules?: FakeRules } = {}) {
  const platform = createFakePlatform({ seed });
  const server = createFakeServer({ platform, rules });
  const indexedDB = new IDBFactory();
  const browser = createFakeBrowser({ platform, indexedDB });

  /** Lets time pass, and the database, which has a time of its own, keep up with it. */
  const pass = async (ms = 0) => {
    for (let left = ms; ; left -= 250) {
      for (let turn = 0; turn < 24; turn++) {
        await platform.advance(0);
        await new Promise(setImmediate);
      }
      if (left <= 0) return;
      await platform.advance(Math.min(left, 250));
    }
  };

  const isOffline = (isOn: boolean) => {
    server.unreachable(isOn);
    if (isOn) server.kill();
  };

  return {
    ...{ platform, server, browser, indexedDB, pass, isOffline },
    room: server.channel(ROOM),
    sent: () => server.frames.filter(({ event, direction }) => event === "mutate" && direction === "up"),
    /** Opens the app in a tab, in the channel. */
    open: (options: OpenOptions = {}) => open(browser.tab(options), server.token(options.sub ?? "ada"), options),
  };
}

type OpenOptions = { sub?: string; hasLocks?: boolean } & Partial<OfflineOptions> &
  Pick<Partial<RealtimeClientOptions>, "getToken">;

export type World = ReturnType<typeof createWorld>;
export type Opened = ReturnType<typeof open>;

function open(tab: FakeTab, token: string, { sub = "ada", getToken = () => token, ...options }: OpenOptions) {
  const storage = offline({ user: sub, device: tab.device, ...options });
  const client = createRealtimeClient({ url: "http://fake", getToken, platform: tab.platform, storage });
  const channel = client.channels.getChannel({ name: ROOM });
  const notes = channel.collection<Fields>("notes");
  return {
    ...{ tab, client, channel, notes },
    contents: () => notes.snapshot.getSnapshot().records.map(({ content }) => content),
    snapshot: () => notes.snapshot.getSnapshot(),
    pending: () => client.pendingCount.getSnapshot(),
    storage: () => client.storage.getSnapshot(),
  };
}
