/**
 * The connection as a pure machine: same state, event and input, same result. The driver (connection.ts) runs the effects.
 * A missing cell of the table does not compile.
 */
import type { ConnectionStatus } from "./types";

/** What is remembered from attempt to attempt. */
export interface Trail {
  /** Attempts since the connection was last stable. */
  readonly attempt: number;
  readonly wasConnected: boolean;
  /** A refused token was replaced once already. */
  readonly reauthed: boolean;
}

export interface Reason {
  readonly code: string;
  readonly message: string;
}

export type ConnectionState =
  | { readonly name: "idle"; readonly trail: Trail }
  | { readonly name: "fetching"; readonly trail: Trail } // asking for a token
  | { readonly name: "opening"; readonly trail: Trail } // until the server's first frame
  | { readonly name: "open"; readonly trail: Trail }
  | { readonly name: "waiting"; readonly trail: Trail; readonly until: number; readonly reason: Reason }
  | { readonly name: "needsAuth"; readonly trail: Trail; readonly reason: Reason }
  | { readonly name: "failed"; readonly trail: Trail; readonly reason: Reason }
  | { readonly name: "closed" };

export type ConnectionEvent =
  | { readonly type: "needed" }
  | { readonly type: "unneeded" }
  | { readonly type: "token" }
  | { readonly type: "tokenFailed"; readonly message: string; readonly final: boolean } // final: only a person can help
  | { readonly type: "opened" }
  | { readonly type: "lost"; readonly code: number; readonly reason: string }
  | { readonly type: "stable" }
  | { readonly type: "due" } // the wait is over
  | { readonly type: "hint" } // online, visible or woken: worth a look
  | { readonly type: "reconnect" } // somebody pressed the button
  | { readonly type: "close" };

export type Effect =
  | { readonly do: "fetchToken"; readonly fresh: boolean }
  | { readonly do: "openSocket" }
  | { readonly do: "dropSocket" }
  | { readonly do: "wait"; readonly ms: number }
  | { readonly do: "stopWaiting" }
  | { readonly do: "probe" };

/** What a decision may depend on beside state and event. `roll` is a random number in [0, 1). */
export interface Input {
  readonly now: number;
  readonly roll: number;
  /** Nobody looks: whoever does not hurry leaves room for those who wait. */
  readonly isHidden: boolean;
}

export interface Transition {
  readonly state: ConnectionState;
  readonly effects: readonly Effect[];
}

type StateName = ConnectionState["name"];
type EventType = ConnectionEvent["type"];
type StateOf<N extends StateName> = Extract<ConnectionState, { name: N }>;
type EventOf<T extends EventType> = Extract<ConnectionEvent, { type: T }>;
type Cell<N extends StateName, T extends EventType> = (state: StateOf<N>, event: EventOf<T>, input: Input) => Transition;
type Table = { readonly [N in StateName]: { readonly [T in EventType]: Cell<N, T> } };

/** A first attempt. */
export const FRESH: Trail = { attempt: 0, wasConnected: false, reauthed: false };

const BASE_MS = 500;
const MIN_MS = 250;
const CAP_MS = 30_000;
/** For servers that have no room: slower, and for longer. */
const SLOW_BASE_MS = 2_000;
const SLOW_CAP_MS = 300_000;
/** A hidden tab waits so many times longer; becoming visible cuts that short. */
const HIDDEN_FACTOR = 3;
/** After a hint the wait is cut to at most this. */
const HINT_MS = 500;

/** Full jitter: anything between the least and the exponential bound, so that clients of one outage spread out. */
export function backoffMs(attempt: number, roll: number, base = BASE_MS, cap = CAP_MS): number {
  return MIN_MS + roll * Math.min(cap, base * 2 ** Math.min(attempt, 20));
}

const patience = (trail: Trail, input: Input, base = BASE_MS, cap = CAP_MS): number =>
  backoffMs(trail.attempt, input.roll, base, cap) * (input.isHidden ? HIDDEN_FACTOR : 1);

const stay = (state: ConnectionState): Transition => ({ state, effects: [] });
const go = (state: ConnectionState, ...effects: Effect[]): Transition => ({ state, effects });

const fetching = (trail: Trail, ...before: Effect[]): Transition =>
  go({ name: "fetching", trail }, ...before, { do: "fetchToken", fresh: trail.reauthed });
const tokenReason = (event: EventOf<"tokenFailed">): Reason => ({ code: "token_unavailable", message: event.message });
const idle = (trail: Trail, ...effects: Effect[]): Transition => go({ name: "idle", trail }, ...effects);
const closed = (...effects: Effect[]): Transition => go({ name: "closed" }, ...effects);
const rest = (trail: Trail, ms: number, reason: Reason, input: Input): Transition =>
  go({ name: "waiting", trail, until: input.now + ms, reason }, { do: "wait", ms });
const wait = (trail: Trail, ms: number, reason: Reason, input: Input): Transition =>
  rest({ ...trail, attempt: trail.attempt + 1 }, ms, reason, input);

/** What a lost socket leads to; the code says what the server wants (docs/protocol.md, section 9). */
function afterLoss(trail: Trail, event: EventOf<"lost">, input: Input): Transition {
  const reason = { code: `close_${event.code}`, message: event.reason || `the connection was lost (${event.code})` };
  if (event.code >= 4000 && event.code < 4100) return go({ name: "failed", trail, reason });
  if (event.code >= 4100 && event.code < 4200) {
    if (trail.reauthed) return go({ name: "needsAuth", trail, reason });
    return wait({ ...trail, reauthed: true }, input.roll * MIN_MS, reason, input);
  }
  if (event.code === 1012) {
    const drainMs = Math.min(SLOW_CAP_MS, Number(/drainMs=(\d+)/.exec(event.reason)?.[1] ?? 1000));
    // No failed attempt: whoever comes a little before the new server does has done as it was told, and need not wait long.
    return rest(trail, input.roll * drainMs, reason, input);
  }
  if (event.code === 4290 || event.code === 1013) {
    return wait(trail, patience(trail, input, SLOW_BASE_MS, SLOW_CAP_MS), reason, input);
  }
  return wait(trail, patience(trail, input), reason, input);
}

const table: Table = {
  idle: {
    needed: (s) => fetching(s.trail),
    unneeded: stay,
    token: stay,
    tokenFailed: stay,
    opened: stay,
    lost: stay,
    stable: stay,
    due: stay,
    hint: stay,
    reconnect: stay,
    close: () => closed(),
  },
  fetching: {
    needed: stay,
    unneeded: (s) => idle(s.trail),
    token: (s) => go({ name: "opening", trail: s.trail }, { do: "openSocket" }),
    tokenFailed: (s, e, input) => {
      if (e.final) return go({ name: "needsAuth", trail: s.trail, reason: tokenReason(e) });
      return wait(s.trail, patience(s.trail, input), tokenReason(e), input);
    },
    opened: stay,
    lost: stay,
    stable: stay,
    due: stay,
    hint: stay,
    reconnect: stay,
    close: () => closed(),
  },
  opening: {
    needed: stay,
    unneeded: (s) => idle(s.trail, { do: "dropSocket" }),
    token: stay,
    tokenFailed: stay,
    opened: (s) => go({ name: "open", trail: { ...s.trail, wasConnected: true } }),
    lost: (s, e, input) => afterLoss(s.trail, e, input),
    stable: stay,
    due: stay,
    hint: stay,
    reconnect: stay,
    close: () => closed({ do: "dropSocket" }),
  },
  open: {
    needed: stay,
    unneeded: (s) => idle({ ...s.trail, attempt: 0 }, { do: "dropSocket" }),
    token: stay,
    // A connection whose channels cannot be joined any more is no connection. The held token is spent: a new one has to be asked for.
    tokenFailed: (s, e) => {
      if (!e.final) return stay(s);
      return go({ name: "needsAuth", trail: { ...s.trail, reauthed: true }, reason: tokenReason(e) }, { do: "dropSocket" });
    },
    opened: stay,
    lost: (s, e, input) => afterLoss(s.trail, e, input),
    // Only now: a server that accepts and then closes must not be asked ever faster.
    stable: () => go({ name: "open", trail: { attempt: 0, wasConnected: true, reauthed: false } }),
    due: stay,
    hint: (s) => go(s, { do: "probe" }),
    reconnect: (s) => go(s, { do: "probe" }),
    close: () => closed({ do: "dropSocket" }),
  },
  waiting: {
    needed: stay,
    unneeded: (s) => idle(s.trail, { do: "stopWaiting" }),
    token: stay,
    tokenFailed: stay,
    opened: stay,
    lost: stay,
    stable: stay,
    due: (s) => fetching(s.trail),
    hint: (s, _e, input) => {
      const ms = input.roll * HINT_MS;
      if (input.now + ms >= s.until) return stay(s);
      return go({ ...s, until: input.now + ms }, { do: "stopWaiting" }, { do: "wait", ms });
    },
    reconnect: (s) => fetching(s.trail, { do: "stopWaiting" }),
    close: () => closed({ do: "stopWaiting" }),
  },
  needsAuth: {
    needed: stay,
    unneeded: (s) => idle({ ...s.trail, reauthed: false }),
    token: stay,
    tokenFailed: stay,
    opened: stay,
    lost: stay,
    stable: stay,
    due: stay,
    hint: (s) => fetching(s.trail),
    reconnect: (s) => fetching(s.trail),
    close: () => closed(),
  },
  failed: {
    needed: stay,
    unneeded: (s) => idle(s.trail),
    token: stay,
    tokenFailed: stay,
    opened: stay,
    lost: stay,
    stable: stay,
    due: stay,
    hint: stay,
    reconnect: (s) => fetching(s.trail),
    close: () => closed(),
  },
  closed: {
    needed: stay,
    unneeded: stay,
    token: stay,
    tokenFailed: stay,
    opened: stay,
    lost: stay,
    stable: stay,
    due: stay,
    hint: stay,
    reconnect: stay,
    close: stay,
  },
};

/** The machine. Pure. */
export function next(state: ConnectionState, event: ConnectionEvent, input: Input): Transition {
  // The table's type pairs each cell with its state and event; indexing by values loses the pairing, which is sound to restore.
  const cell = table[state.name][event.type] as Cell<StateName, EventType>;
  return cell(state as never, event as never, input);
}

/** What a person is shown. */
export function statusOf(state: ConnectionState, online: boolean): ConnectionStatus {
  switch (state.name) {
    case "idle":
    case "failed":
    case "closed":
      return state.name;
    case "open":
      return "connected";
    case "needsAuth":
      return "needs-auth";
    case "fetching":
    case "opening":
    case "waiting":
      if (!online) return "offline";
      return state.trail.wasConnected || state.trail.attempt > 1 ? "reconnecting" : "connecting";
    default:
      return state satisfies never;
  }
}
