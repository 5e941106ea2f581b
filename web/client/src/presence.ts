/** What one channel's members say of themselves, and what this client says. */
import { byteLength, toJson } from "./collection/json";
import { ChoraleError } from "./errors";
import { applyDiff, decodeDiff, decodeState, membersOf, type Roster, type RosterDiff } from "./presence-roster";
import { type Report, ValueStore } from "./store";
import type { Json, Platform, Presence, PresenceMember, Store } from "./types";

/** Between two tracks at least; a cursor looks smooth at ten a second. */
const INTERVAL_MS = 100;
/** How long to wait when the server is busy and does not say. */
const REFUSED_MS = 1_000;
/** What the server takes. */
const MAX_BYTES = 16_384;
/** Diffs that may wait for their state. The state follows a join at once (J1), so more than a few mean that none will come. */
const MAX_EARLY = 1_000;

export interface PresenceDeps {
  /** The key that this client joined with. */
  readonly key: () => string;
  /** Both are false while the channel is not joined. */
  readonly track: (stateJson: string) => boolean;
  readonly untrack: () => boolean;
  readonly platform: Platform;
  readonly report: Report;
  /** Somebody said something of itself for the first time: the join has to ask for presence. */
  readonly onWanted?: () => void;
}

export class PresenceState implements Presence {
  readonly members: Store<readonly PresenceMember[]>;
  readonly #members: ValueStore<readonly PresenceMember[]>;
  readonly #deps: PresenceDeps;

  #roster: Roster = new Map();
  /** Diffs since the join, until its state is there. Undefined once it is. */
  #early: RosterDiff[] | undefined = [];

  #own: Readonly<Record<string, Json>> | undefined;
  /** What the server was told since the join; undefined for nothing. */
  #told: string | undefined;
  /** Runs after each track or untrack; nothing is said meanwhile. */
  #pause: unknown;

  constructor(deps: PresenceDeps) {
    this.#deps = deps;
    this.members = this.#members = new ValueStore<readonly PresenceMember[]>(Object.freeze([]), deps.report);
  }

  /** Whether this client says something of itself. */
  get wanted(): boolean {
    return this.#own !== undefined;
  }

  // ---- what this client says

  readonly set = (state: Record<string, Json>): void => {
    const own = (toJson(state) ?? {}) as Record<string, Json>; // the JSON of an object is an object
    if (byteLength(JSON.stringify(own)) > MAX_BYTES) {
      throw new ChoraleError("payload_size_exceeded", "what a member says of itself is limited to 16 KiB");
    }
    const wasWanted = this.wanted;
    this.#own = own;
    this.#tell();
    if (!wasWanted) this.#deps.onWanted?.();
  };

  readonly update = (part: Record<string, Json>): void => this.set({ ...this.#own, ...part });

  readonly clear = (): void => {
    this.#own = undefined;
    this.#tell();
  };

  /** Tells the server what it does not know yet: at once, or when the pause is over. */
  #tell(): void {
    if (this.#pause !== undefined) return;
    const json = this.#own && JSON.stringify(this.#own);
    if (json === this.#told) return;
    const isSent = json === undefined ? this.#deps.untrack() : this.#deps.track(json);
    if (!isSent) return; // onJoined says it
    this.#told = json;
    this.#rest(INTERVAL_MS);
  }

  #rest(ms: number): void {
    this.#deps.platform.clearTimeout(this.#pause);
    this.#pause = this.#deps.platform.setTimeout(() => {
      this.#pause = undefined;
      this.#tell();
    }, ms);
  }

  // ---- what a membership tells

  /** A join was accepted; the server knows nothing of this client yet. */
  onJoined(): void {
    this.#early = [];
    this.#forgetTold();
    this.#tell();
  }

  /** The server did not take what was said; it may later. */
  onRefused(retryAfterMs = REFUSED_MS): void {
    this.#told = undefined;
    this.#rest(retryAfterMs);
  }

  /** The membership ended. Members stay shown until the next state says who is left. */
  onDown(): void {
    this.#forgetTold();
  }

  #forgetTold(): void {
    this.#deps.platform.clearTimeout(this.#pause);
    this.#pause = undefined;
    this.#told = undefined;
  }

  onState(payload: unknown): void {
    const roster = decodeState(payload);
    const early = this.#early ?? [];
    this.#early = undefined;
    this.#show(early.reduce(applyDiff, roster));
  }

  onDiff(payload: unknown): void {
    const diff = decodeDiff(payload);
    if (this.#early === undefined) this.#show(applyDiff(this.#roster, diff));
    else if (this.#early.length < MAX_EARLY) this.#early.push(diff);
  }

  #show(roster: Roster): void {
    this.#roster = roster;
    this.#members.set(membersOf(roster, this.#members.getSnapshot(), this.#deps.key()));
  }
}
