/** How one connection of this tab gets its socket, as a pure machine. The driver (tabs.ts) runs the effects. */

export type Seat =
  | { readonly name: "asking" } // the leader for a lane, whoever that is
  | { readonly name: "guest"; readonly leader: string } // has a lane of the leader's socket
  | { readonly name: "own" } // has one of this tab's
  | { readonly name: "ended" };

export type SeatEvent =
  | { readonly type: "announced" } // another tab leads from now on
  | { readonly type: "led" } // this one does
  | { readonly type: "invited"; readonly leader: string }
  | { readonly type: "refused" } // the leader has no room
  | { readonly type: "unanswered" } // for too long
  | { readonly type: "gone"; readonly tab: string } // a tab was closed, or has crashed
  | { readonly type: "silent" } // the leader has not noticed what was sent, for too long
  | { readonly type: "ended"; readonly code: number; readonly reason: string } // the lane, at its other end
  | { readonly type: "left"; readonly reason: string }; // closed from here

export type SeatEffect =
  | { readonly do: "ask" }
  | { readonly do: "accept"; readonly leader: string }
  | { readonly do: "openOwn" }
  | { readonly do: "takeLead" }
  | { readonly do: "leave"; readonly reason: string } // tell whoever has the other end
  | { readonly do: "tell"; readonly code: number; readonly reason: string }; // the connection that it is over

export interface Step {
  readonly seat: Seat;
  readonly effects: readonly SeatEffect[];
}

/** Why a lane ends that did nothing wrong: come back. 1006 would look like a network that blocks WebSockets. */
export const GOING_AWAY = 1001;

const OWN: Seat = { name: "own" };
const ENDED: Seat = { name: "ended" };
const step = (seat: Seat, ...effects: SeatEffect[]): Step => ({ seat, effects });

/** Pure. Nothing is waited for but an answer: whatever goes wrong, the connection has a socket of this tab's, or comes back. */
export function next(seat: Seat, event: SeatEvent): Step {
  switch (seat.name) {
    case "asking":
      return whileAsking(seat, event);
    case "guest":
      if (event.type === "gone" && event.tab === seat.leader)
        return step(ENDED, { do: "tell", code: GOING_AWAY, reason: "the tab with the socket has gone" });
      if (event.type === "silent")
        // frozen: the connection comes back over a socket of this tab's, and has none there if that one wakes
        return step(
          ENDED,
          { do: "leave", reason: "" },
          { do: "takeLead" },
          { do: "tell", code: GOING_AWAY, reason: "the tab with the socket does not answer" },
        );
      if (event.type === "ended") return step(ENDED, { do: "tell", code: event.code, reason: event.reason });
      return event.type === "left" ? step(ENDED, { do: "leave", reason: event.reason }) : step(seat);
    case "own":
      if (event.type === "ended") return step(ENDED, { do: "tell", code: event.code, reason: event.reason });
      return event.type === "left" ? step(ENDED, { do: "leave", reason: event.reason }) : step(seat);
    case "ended":
      return step(seat);
    default:
      return seat satisfies never;
  }
}

function whileAsking(seat: Seat, event: SeatEvent): Step {
  switch (event.type) {
    case "announced":
      return step(seat, { do: "ask" });
    case "led":
    case "refused":
      return step(OWN, { do: "openOwn" });
    case "invited":
      return step({ name: "guest", leader: event.leader }, { do: "accept", leader: event.leader });
    case "unanswered": // frozen, or so busy that it should not have the lead
      return step(OWN, { do: "takeLead" }, { do: "openOwn" });
    case "left":
      return step(ENDED);
    case "gone":
    case "silent":
    case "ended":
      return step(seat);
    default:
      return event satisfies never;
  }
}
