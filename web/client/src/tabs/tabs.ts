import type { BroadcastLike, Device } from "../device";
import type { Platform, SocketLike, Unsubscribe } from "../types";
import { Pulse } from "./pulse";
import { next, type Seat, type SeatEvent } from "./seat";
import { SharedSocket } from "./shared-socket";
import { TabSocket } from "./tab-socket";

/** How long a leader may take to answer. A tab that is loading has done so by then; a person hardly notices. */
const ANSWER_MS = 2_000;

export interface TabsOptions {
  /** What the tabs have in common: a name with the server's address. */
  readonly name: string;
  readonly locks: NonNullable<Device["locks"]>;
  readonly openBroadcast: NonNullable<Device["openBroadcast"]>;
  readonly platform: Platform;
}

/** What tabs say to all others. A link is the name of a broadcast that two of them have for one lane. */
type Word =
  | { readonly type: "leads" }
  | { readonly type: "ask"; readonly link: string }
  | { readonly type: "yes"; readonly link: string; readonly leader: string }
  | { readonly type: "no"; readonly link: string }
  | { readonly type: "open"; readonly link: string; readonly leader: string; readonly tab: string; readonly url: string };

/** What is said on a link beside frames, which are texts. */
type LinkWord =
  | { readonly type: "opened" }
  | { readonly type: "ended"; readonly code: number; readonly reason: string }
  | { readonly type: "left"; readonly reason: string }
  | { readonly type: "ping" }
  | { readonly type: "pong" };

/**
 * The tabs of one browser that have the same server. One of them leads: its socket carries the others' connections in lanes. Each tab
 * holds a lock for as long as it lives, which is how the others know when it has gone.
 *
 * Nothing depends on there being one leader, or one that answers: who gets no answer takes the lead and has a socket of its own, and
 * who has lost the lead keeps the lanes that it has until they end.
 */
export class Tabs {
  readonly #options: TabsOptions;
  readonly #id: string;
  readonly #shared: SharedSocket;
  readonly #control: BroadcastLike;
  /** When this tab's lock is held: only then others can tell that it lives. */
  readonly #isKnown: Promise<unknown>;
  /** By link. */
  readonly #asking = new Map<string, (event: SeatEvent) => void>();
  readonly #watched = new Map<string, Set<() => void>>();
  #isLeader = false;
  #isCandidate = false;

  constructor(options: TabsOptions) {
    const { name, locks, openBroadcast, platform } = options;
    this.#options = options;
    this.#id = platform.uuid();
    this.#shared = new SharedSocket(platform.openSocket, platform.now);
    this.#control = openBroadcast(name);
    this.#control.onmessage = ({ data }: MessageEvent<Word>) => this.#hear(data);
    this.#isKnown = new Promise<void>((known) => {
      const hold = () => {
        known();
        return FOREVER;
      };
      locks.request(this.#lockOf(this.#id), hold).catch(platform.reportError);
    });
    this.#campaign(false);
  }

  /** A socket for a connection of this tab. */
  open(url: string): SocketLike {
    if (this.#isLeader) return this.#shared.open(url);
    return new TabSocket((socket) => this.#seat(socket, url));
  }

  /** Gives a socket its seat, and returns how it is told what happens. */
  #seat(socket: TabSocket, url: string): (event: SeatEvent) => void {
    const { platform, openBroadcast, name } = this.#options;
    const link = platform.uuid();
    let seat: Seat = { name: "asking" };
    let unwatch: Unsubscribe | undefined;
    const ask = () => this.#tell({ type: "ask", link });
    const timer = platform.setTimeout(() => take({ type: "unanswered" }), ANSWER_MS);

    const accept = (leader: string) => {
      const wire = openBroadcast(`${name}/${link}`);
      const pulse = new Pulse(
        platform,
        () => wire.postMessage({ type: "ping" } satisfies LinkWord),
        () => take({ type: "silent" }),
      );
      wire.onmessage = ({ data }: MessageEvent<LinkWord | string>) => {
        pulse.felt();
        if (typeof data === "string") socket.onmessage?.(data);
        else if (data.type === "opened") socket.onopen?.();
        else if (data.type === "ended") take(data);
      };
      unwatch = this.#whenGone(leader, () => take({ type: "gone", tab: leader }));
      socket.carry(
        () => "shared by tabs, held by another",
        (frame) => {
          wire.postMessage(frame);
          pulse.feel();
        },
        (leaving) => {
          pulse.felt();
          if (leaving !== undefined) wire.postMessage({ type: "left", reason: leaving } satisfies LinkWord);
          wire.close();
        },
      );
      this.#tell({ type: "open", link, leader, tab: this.#id, url });
    };

    const openOwn = () => {
      try {
        const own = this.#shared.open(url);
        own.onopen = () => socket.onopen?.();
        own.onmessage = (data) => socket.onmessage?.(data);
        own.onclose = (code, reason) => take({ type: "ended", code, reason });
        socket.carry(
          () => own.via,
          (frame) => own.send(frame),
          (leaving) => {
            own.onopen = own.onmessage = own.onclose = null;
            if (leaving !== undefined) own.close(1000, leaving);
          },
        );
      } catch (error) {
        take({ type: "ended", code: 4000, reason: error instanceof Error ? error.message : String(error) });
      }
    };

    const take = (event: SeatEvent) => {
      const before = seat.name;
      const step = next(seat, event);
      seat = step.seat;
      if (before === "asking" && seat.name !== "asking") {
        platform.clearTimeout(timer);
        this.#asking.delete(link);
      }
      if (seat.name === "ended") unwatch?.();
      for (const effect of step.effects) {
        if (effect.do === "ask") ask();
        else if (effect.do === "accept") accept(effect.leader);
        else if (effect.do === "openOwn") openOwn();
        else if (effect.do === "takeLead") this.#campaign(true);
        else if (effect.do === "leave") socket.end(effect.reason);
        else if (effect.do === "tell") {
          socket.end();
          socket.onclose?.(effect.code, effect.reason);
        } else effect satisfies never;
      }
    };

    this.#asking.set(link, take);
    void this.#isKnown.then(() => {
      if (this.#asking.has(link)) ask();
    });
    return take;
  }

  // ---- the leader

  /** Waits for the lead, or takes it from one who does not answer. */
  #campaign(steal: boolean): void {
    const { name, locks, platform } = this.#options;
    if (this.#isLeader || (this.#isCandidate && !steal)) return;
    if (!steal) this.#isCandidate = true;
    let isOver = false;
    const lead = () => {
      if (isOver) return undefined; // it was frozen between the two
      if (!steal) this.#isCandidate = false;
      this.#isLeader = true;
      for (const take of [...this.#asking.values()]) take({ type: "led" });
      this.#tell({ type: "leads" });
      return FOREVER;
    };
    const lost = (error: unknown) => {
      isOver = true;
      if (!steal) this.#isCandidate = false;
      this.#isLeader = false;
      // Another tab has stolen it, because this one was frozen or slow. Else there are no locks to be had, and each connection waits in vain.
      if (error instanceof DOMException && error.name === "AbortError") this.#campaign(false);
      else platform.reportError(error);
    };
    locks.request(`${name}/leader`, { steal }, lead).catch(lost);
  }

  #hear(word: Word): void {
    switch (word.type) {
      case "leads":
        for (const take of [...this.#asking.values()]) take({ type: "announced" });
        return;
      case "ask":
        if (!this.#isLeader) return;
        if (this.#shared.hasRoom) this.#tell({ type: "yes", link: word.link, leader: this.#id });
        else this.#tell({ type: "no", link: word.link });
        return;
      case "yes":
        this.#asking.get(word.link)?.({ type: "invited", leader: word.leader });
        return;
      case "no":
        this.#asking.get(word.link)?.({ type: "refused" });
        return;
      case "open":
        if (word.leader === this.#id) this.#host(word.link, word.tab, word.url);
        return;
      default:
        word satisfies never; // from another version of the app: not for this one
    }
  }

  /** Carries the connection of another tab. */
  #host(link: string, tab: string, url: string): void {
    const wire = this.#options.openBroadcast(`${this.#options.name}/${link}`);
    const say = (word: LinkWord | string) => wire.postMessage(word);
    let lane: SocketLike;
    try {
      lane = this.#shared.open(url);
    } catch (error) {
      say({ type: "ended", code: 1006, reason: String(error) });
      wire.close();
      return;
    }
    const end = () => {
      unwatch();
      wire.close();
      lane.onopen = lane.onmessage = lane.onclose = null;
    };
    const leave = (reason: string) => {
      end();
      lane.close(1000, reason);
    };
    const unwatch = this.#whenGone(tab, () => leave(""));
    lane.onopen = () => say({ type: "opened" });
    lane.onmessage = say;
    lane.onclose = (code, reason) => {
      say({ type: "ended", code, reason });
      end();
    };
    wire.onmessage = ({ data }: MessageEvent<LinkWord | string>) => {
      if (typeof data === "string") lane.send(data);
      else if (data.type === "left") leave(data.reason);
      else if (data.type === "ping") say({ type: "pong" });
    };
  }

  // ---- the others

  #tell(word: Word): void {
    this.#control.postMessage(word);
  }

  #lockOf(tab: string): string {
    return `${this.#options.name}/tab/${tab}`;
  }

  /** The lock of a tab that lives is not to be had: whoever gets it knows that the tab has gone. */
  #whenGone(tab: string, tell: () => void): Unsubscribe {
    let listeners = this.#watched.get(tab);
    if (!listeners) {
      const those = new Set<() => void>();
      listeners = those;
      this.#watched.set(tab, those);
      const gone = () => {
        this.#watched.delete(tab);
        for (const listener of [...those]) listener();
      };
      this.#options.locks.request(this.#lockOf(tab), { mode: "shared" }, gone).catch(this.#options.platform.reportError);
    }
    listeners.add(tell);
    return () => listeners.delete(tell);
  }
}

/** For locks that are held until the page ends. */
const FOREVER = /* @__PURE__ */ new Promise<never>(() => {});
