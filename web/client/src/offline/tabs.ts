import type { BroadcastLike, Device } from "../device";
import type { Platform } from "../types";

/** How often the leader tells that it lives, and after how long a silence another takes its place. */
const BEAT_MS = 5_000;
const SILENCE_MS = 15_000;

export interface TabsOptions {
  /** What the tabs have in common: the database's name. */
  readonly name: string;
  /** This one's id. */
  readonly tab: string;
  readonly device: Device;
  readonly platform: Platform;
  /** This tab leads, and some tab has ended: there may be writes that nobody sends. */
  onOrphans(): void;
}

type Word = { readonly type: "beat" } | { readonly type: "hello"; readonly tab: string };

/**
 * The tabs of one user in one browser. Each holds a lock for as long as it lives, which is how the others know. One of them is the
 * leader: it sends what tabs have left behind that closed or crashed.
 *
 * Nothing depends on there being one leader, or one at all. Writes have their numbers, so two who send the same do no harm. Without
 * Web Locks each tab takes what it finds when it starts.
 */
export class Tabs {
  readonly #options: TabsOptions;
  readonly #watched = new Set<string>();
  #end: (() => void) | undefined;
  #channel: BroadcastLike | undefined;
  #isLeader = false;
  #heardAt = 0;
  #timer: unknown;

  constructor(options: TabsOptions) {
    this.#options = options;
  }

  get isLeader(): boolean {
    return this.#isLeader;
  }

  start(): void {
    const { name, tab, device, platform } = this.#options;
    if (this.#end || !device.locks) return;
    const ended = new Promise<void>((resolve) => {
      this.#end = resolve;
    });
    this.#channel = device.openBroadcast?.(name);
    if (this.#channel) this.#channel.onmessage = ({ data }: MessageEvent<Word>) => this.#hear(data);
    const hold = () => {
      this.#tell({ type: "hello", tab }); // only now a leader that looks for tabs would find this one
      return ended;
    };
    device.locks.request(this.#lockOf(tab), hold).catch(platform.reportError);
    this.#heardAt = platform.now();
    this.#campaign(false);
    this.#beat();
  }

  stop(): void {
    const { platform } = this.#options;
    this.#end?.();
    this.#end = undefined;
    this.#isLeader = false;
    platform.clearTimeout(this.#timer);
    this.#channel?.close();
    this.#channel = undefined;
  }

  /** Ids of the tabs that live. Without Web Locks nobody can tell, and only this one is sure to. */
  async alive(): Promise<ReadonlySet<string>> {
    const { tab, device } = this.#options;
    const { held = [] } = (await device.locks?.query()) ?? {};
    const prefix = this.#lockOf("");
    const own = held.filter(({ name, mode }) => mode === "exclusive" && name?.startsWith(prefix));
    return new Set([tab, ...own.map(({ name = "" }) => name.slice(prefix.length))]);
  }

  #lockOf(tab: string): string {
    return `${this.#options.name}/tab/${tab}`;
  }

  /** Waits for the lock of the leader, or takes it from one who does not answer. */
  #campaign(steal: boolean): void {
    const { name, device } = this.#options;
    const term = new Promise<void>((resolve) => {
      const end = this.#end;
      this.#end = () => {
        end?.();
        resolve();
      };
    });
    const lead = () => {
      if (this.#end === undefined) return undefined;
      this.#isLeader = true;
      this.#beat();
      void this.#watchAll();
      this.#options.onOrphans();
      return term;
    };
    device.locks?.request(`${name}/leader`, { steal }, lead).catch(() => {
      // Another tab has stolen it: this one was frozen, or slow.
      this.#isLeader = false;
      this.#heardAt = this.#options.platform.now();
      if (this.#end) this.#campaign(false);
    });
  }

  #beat(): void {
    const { platform } = this.#options;
    platform.clearTimeout(this.#timer);
    if (this.#end === undefined) return;
    const before = platform.now();
    this.#timer = platform.setTimeout(() => {
      const now = platform.now();
      if (this.#isLeader) this.#tell({ type: "beat" });
      // Who was asleep itself has not heard the leader for that reason.
      else if (now - before > SILENCE_MS) this.#heardAt = now;
      else if (this.#channel && now - this.#heardAt > SILENCE_MS) {
        this.#heardAt = now;
        this.#campaign(true);
      }
      this.#beat();
    }, BEAT_MS);
  }

  #hear(word: Word): void {
    if (word.type === "beat") this.#heardAt = this.#options.platform.now();
    else if (this.#isLeader) this.#watch(word.tab);
  }

  #tell(word: Word): void {
    this.#channel?.postMessage(word);
  }

  async #watchAll(): Promise<void> {
    for (const tab of await this.alive()) this.#watch(tab);
  }

  /**
   * The lock of a tab that lives is not to be had: whoever gets it knows that the tab has ended. It is shared by those who wait, one of
   * whom may be frozen and keep it.
   */
  #watch(tab: string): void {
    const { device, platform } = this.#options;
    if (tab === this.#options.tab || this.#watched.has(tab)) return;
    this.#watched.add(tab);
    const ended = () => {
      this.#watched.delete(tab);
      if (this.#isLeader) this.#options.onOrphans();
    };
    device.locks?.request(this.#lockOf(tab), { mode: "shared" }, ended).catch(platform.reportError);
  }
}
