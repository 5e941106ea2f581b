/** Tabs of one browser that share a socket, at a fake server. */
import { IDBFactory } from "fake-indexeddb";
import { createRealtimeClient } from "../src/client";
import { shareSocket } from "../src/tabs";
import { createFakeBrowser, createFakePlatform, createFakeServer, type FakePlatform, type FakeTab } from "../src/testing";
import type { Platform } from "../src/types";
import { type Fields, ROOM } from "./people";

export interface TabOptions {
  sub?: string;
  hasLocks?: boolean;
  getToken?: () => string;
  /** Parts of the platform under the tab. */
  platform?: Partial<Platform>;
}

export function createTabs({ seed = 1 }: { seed?: number } = {}) {
  const platform = createFakePlatform({ seed });
  const server = createFakeServer({ platform });
  const browser = createFakeBrowser({ platform, indexedDB: new IDBFactory() });
  return {
    ...{ platform, server, browser },
    room: server.channel(ROOM),
    /** Lets time pass, in pieces: promises of tabs that wait for each other are chains. */
    pass: (ms: number) => pass(platform, ms),
    open: (options: TabOptions = {}) => open(browser.tab(options), server.token(options.sub ?? "ada"), options),
  };
}

export type TabsWorld = ReturnType<typeof createTabs>;
export type OpenedTab = ReturnType<typeof open>;

async function pass(platform: FakePlatform, ms: number): Promise<void> {
  for (let left = ms; left >= 0; left -= 50) {
    for (let turn = 0; turn < 6; turn++) await platform.advance(0);
    await platform.advance(Math.min(left, 50));
  }
}

function open(tab: FakeTab, token: string, { sub = "ada", getToken = () => token, platform = {} }: TabOptions) {
  const shared = shareSocket({ platform: { ...tab.platform, ...platform }, device: tab.device });
  const client = createRealtimeClient({ url: "http://fake", getToken, platform: shared });
  const channel = client.channels.getChannel({ name: ROOM, presence: true });
  const notes = channel.collection<Fields>("notes");
  const heard: unknown[] = [];
  channel.on("said", ({ payload }) => heard.push(payload));
  /** What a person was shown of the connection, one after the other. */
  const shown: string[] = [];
  client.connection.subscribe(() => {
    const { status, isConnected } = client.connection.getSnapshot();
    shown.push(isConnected ? "connected" : status);
  });
  channel.presence.set({ sub });
  return {
    ...{ tab, client, channel, notes, heard, shown },
    contents: () => notes.snapshot.getSnapshot().records.map(({ content }) => content),
    pending: () => client.pendingCount.getSnapshot(),
    status: () => client.connection.getSnapshot().status,
    attempt: () => client.connection.getSnapshot().attempt,
    people: () =>
      channel.presence.members
        .getSnapshot()
        .map(({ state }) => (state as { sub: string }).sub)
        .sort(),
  };
}
