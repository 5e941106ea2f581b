import type { BroadcastLike, Device } from "../device";
import type { Platform, SocketLike } from "../types";
import type { FakePlatform } from "./platform";

/** One tab of a fake browser. */
export interface FakeTab {
  readonly platform: Platform;
  readonly device: Device;
  /** How many transactions it has begun. */
  readonly transactions: number;
  /** The tab crashes when it begins this transaction, counted from now: nothing of it is written. */
  dieAt(transaction: number): void;
  /** The tab is gone at once: no timer, socket or transaction of it goes on, and its locks are free. */
  kill(): void;
  readonly isDead: boolean;
  readonly isFrozen: boolean;
  /** Neither timers nor messages, from tabs or the network, reach it until called with false; what it holds it keeps. */
  freeze(isOn: boolean): void;
}

/** A browser with several tabs, whose IndexedDB the test brings along. */
export interface FakeBrowser {
  tab(options?: { readonly hasLocks?: boolean }): FakeTab;
}

/**
 * A browser for tests of offline apps: tabs that share a database, locks and a channel, and can be killed between any two things.
 *
 *     import "fake-indexeddb/auto";
 *     const browser = createFakeBrowser({ platform, indexedDB: new IDBFactory() });
 *     const { device, platform: ofTab } = browser.tab();
 *     const client = createRealtimeClient({ url, getToken, platform: ofTab, storage: offline({ user: "ada", device }) });
 */
export function createFakeBrowser(options: { platform: FakePlatform; indexedDB: IDBFactory }): FakeBrowser {
  const locks = new Locks(options.platform);
  const channels = new Set<Ear>();
  return { tab: ({ hasLocks = true } = {}) => new Tab(options.platform, options.indexedDB, locks, channels, hasLocks) };
}

interface Ear extends BroadcastLike {
  readonly name: string;
  readonly tab: Tab;
}

class Tab implements FakeTab {
  readonly platform: Platform;
  readonly device: Device;
  isDead = false;
  isFrozen = false;
  transactions = 0;
  #diesAt = Number.POSITIVE_INFINITY;
  readonly #handles = new Set<IDBDatabase>();
  readonly #running = new Set<IDBTransaction>();
  readonly #sockets = new Set<SocketLike>();
  readonly #locks: Locks;
  #late: (() => void)[] = [];

  constructor(platform: FakePlatform, factory: IDBFactory, locks: Locks, channels: Set<Ear>, hasLocks: boolean) {
    this.#locks = locks;
    const setTimeout = (fn: () => void, ms: number) => platform.setTimeout(() => this.run(fn), ms);
    this.platform = {
      ...platform,
      setTimeout,
      steady: { setTimeout, clearTimeout: platform.clearTimeout },
      nextTask: (fn) => platform.nextTask(() => this.run(fn)),
      openSocket: (url) => this.#socket(platform.openSocket(url)),
      reportError: (error) => this.run(() => platform.reportError(error)),
    };
    this.device = {
      indexedDB: this.#factory(factory),
      ...(hasLocks && { locks: locks.of(this) }),
      openBroadcast: (name) => {
        const ear: Ear = {
          ...{ name, tab: this, onmessage: null },
          postMessage: (data: unknown) => {
            for (const other of channels) {
              if (other === ear || other.name !== name) continue;
              // A listener of a real channel has a `this`, which nothing here looks at.
              other.tab.run(() => (other.onmessage as ((event: { data: unknown }) => void) | null)?.({ data }));
            }
          },
          close: () => channels.delete(ear),
        };
        channels.add(ear);
        return ear;
      },
    };
  }

  /** Runs something in this tab, as far as that lives; later, if it is frozen. */
  run(fn: () => void): void {
    if (this.isDead) return;
    if (this.isFrozen) this.#late.push(fn);
    else fn();
  }

  freeze(isOn: boolean): void {
    this.isFrozen = isOn;
    const late = this.#late;
    this.#late = [];
    for (const fn of late) this.run(fn);
  }

  dieAt(transaction: number): void {
    this.#diesAt = this.transactions + transaction;
  }

  kill(): void {
    if (this.isDead) return;
    this.isDead = true;
    for (const socket of this.#sockets) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    }
    for (const tx of this.#running) abort(tx);
    for (const handle of this.#handles) handle.close();
    this.#locks.release(this);
  }

  #socket(socket: SocketLike): SocketLike {
    this.#sockets.add(socket);
    const seen: SocketLike = {
      send: (data) => socket.send(data),
      close: (code, reason) => socket.close(code, reason),
      ...{ onopen: null, onmessage: null, onclose: null },
    };
    socket.onopen = () => this.run(() => seen.onopen?.());
    socket.onmessage = (data) => this.run(() => seen.onmessage?.(data));
    socket.onclose = (code, reason) => this.run(() => seen.onclose?.(code, reason));
    return seen;
  }

  #factory(factory: IDBFactory): IDBFactory {
    const open = (name: string, version?: number) => {
      if (this.isDead) throw new DOMException("the tab is gone", "InvalidStateError");
      const request = factory.open(name, version);
      request.addEventListener("success", () => this.#watch(request.result));
      return request;
    };
    return { open, deleteDatabase: (name: string) => factory.deleteDatabase(name) } as unknown as IDBFactory;
  }

  #watch(handle: IDBDatabase): void {
    this.#handles.add(handle);
    const begin = handle.transaction.bind(handle);
    handle.transaction = (...args: Parameters<typeof begin>) => {
      if (this.isDead) throw new DOMException("the tab is gone", "InvalidStateError");
      const tx = begin(...args);
      this.#running.add(tx);
      for (const end of ["complete", "abort"]) tx.addEventListener(end, () => this.#running.delete(tx));
      if (++this.transactions >= this.#diesAt) this.kill();
      return tx;
    };
  }
}

function abort(tx: IDBTransaction): void {
  try {
    tx.abort();
  } catch {} // it has ended
}

interface Request {
  readonly tab: Tab;
  readonly mode: LockMode;
  readonly grant: () => Promise<unknown>;
  readonly fail: (error: unknown) => void;
}

/** Web Locks, as far as they are used here: in order, exclusive or shared, and to be stolen. */
class Locks {
  readonly #platform: FakePlatform;
  readonly #held = new Map<string, Set<Request>>();
  readonly #waiting = new Map<string, Request[]>();

  constructor(platform: FakePlatform) {
    this.#platform = platform;
  }

  of(tab: Tab): Pick<LockManager, "request" | "query"> {
    const request = (name: string, options: LockOptions | LockGrantedCallback<unknown>, given?: LockGrantedCallback<unknown>) =>
      new Promise((resolve, reject) => {
        const callback = (given ?? options) as (lock: Lock | null) => unknown;
        const { mode = "exclusive", steal = false } = typeof options === "object" ? options : {};
        const grant = () => new Promise((done) => tab.run(() => done(callback({ name, mode }))));
        const waiting: Request = { tab, mode, fail: reject, grant: () => grant().then(resolve, reject) };
        if (steal) {
          for (const holder of this.#held.get(name) ?? []) holder.fail(new DOMException("stolen", "AbortError"));
          this.#held.delete(name);
          this.#waiting.set(name, [waiting, ...(this.#waiting.get(name) ?? [])]);
        } else this.#waiting.set(name, [...(this.#waiting.get(name) ?? []), waiting]);
        this.#soon(name);
      });
    const query = async () => ({
      held: [...this.#held].flatMap(([name, holders]) => [...holders].map(({ mode }) => ({ name, mode }))),
      pending: [],
    });
    return { request, query } as unknown as Pick<LockManager, "request" | "query">;
  }

  release(tab: Tab): void {
    for (const [name, requests] of this.#waiting)
      this.#waiting.set(
        name,
        requests.filter((other) => other.tab !== tab),
      );
    for (const [name, holders] of this.#held) {
      for (const holder of holders) if (holder.tab === tab) this.#end(name, holder);
    }
  }

  #soon(name: string): void {
    this.#platform.setTimeout(() => this.#next(name), 0);
  }

  #next(name: string): void {
    const holders = this.#held.get(name) ?? new Set();
    const [next] = this.#waiting.get(name) ?? [];
    const isFree = [...holders, next].every((request) => request?.mode === "shared");
    if (next === undefined || (holders.size > 0 && !isFree)) return;
    this.#waiting.get(name)?.shift();
    this.#held.set(name, holders.add(next));
    this.#soon(name);
    void next.grant().finally(() => this.#end(name, next));
  }

  #end(name: string, holder: Request): void {
    if (this.#held.get(name)?.delete(holder)) this.#soon(name);
  }
}
