import { describe, expect, it } from "vitest";
import { BaseMessageHandler } from "../src/base-handler";
import { HandlerQueue } from "../src/handler-queue";
import { messageFactory } from "../src/message-factory";
import type { Json, Message, ResyncReason } from "../src/types";

const message = <P>(event: string, payload: P, id?: string): Message<P> =>
  messageFactory.create(event, payload, { channel: "room", ...(id !== undefined && { id }) });

function setUp() {
  const reported: unknown[] = [];
  return { queue: new HandlerQueue((error) => reported.push(error)), reported };
}

/** Lets promises that are settled run on. */
const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

/** A promise that the test settles. */
function gate() {
  let open: () => void = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open: () => open() };
}

describe("handlers of a channel", () => {
  it("take the events that they name, one, several or all", () => {
    const { queue } = setUp();
    const got: string[] = [];
    const take = (name: string, event: string | readonly string[]) =>
      queue.use({ event, handleMessage: (m) => void got.push(`${name} ${m.event}`) });
    take("one", "a");
    take("some", ["a", "b"]);
    take("all", "*");
    for (const event of ["a", "b", "c"]) queue.dispatch(message(event, null));
    expect(got).toEqual(["one a", "some a", "all a", "some b", "all b", "all c"]);
  });

  it("[R1] handle one message at a time, in log order, however long each takes; a slow one holds up nobody else", async () => {
    const { queue } = setUp();
    const gates = [gate(), gate(), gate()];
    const slow: string[] = [];
    const quick: Json[] = [];
    queue.use<number>({
      event: "n",
      handleMessage: async ({ payload }) => {
        slow.push(`begin ${payload}`);
        await gates[payload]?.opened;
        slow.push(`end ${payload}`);
      },
    });
    queue.use({ event: "n", handleMessage: ({ payload }) => void quick.push(payload) });
    for (const n of [0, 1, 2]) queue.dispatch(message("n", n));
    expect(quick).toEqual([0, 1, 2]);
    gates[2]?.open();
    gates[1]?.open();
    await settle();
    expect(slow).toEqual(["begin 0"]);
    gates[0]?.open();
    await settle();
    expect(slow).toEqual(["begin 0", "end 0", "begin 1", "end 1", "begin 2", "end 2"]);
  });

  it("a message that fails goes to onError or is reported, and the next one is handled", async () => {
    const { queue, reported } = setUp();
    const got: Json[] = [];
    const errors: string[] = [];
    const handleMessage = async ({ payload }: Message) => {
      if (payload === 1) throw new Error("one");
      if (payload === 2) await Promise.reject(new Error("two"));
      got.push(payload);
    };
    queue.use({ event: "n", handleMessage, onError: (error, m) => errors.push(`${(error as Error).message} ${m.payload}`) });
    queue.use({ event: "n", handleMessage });
    queue.use({
      event: "n",
      handleMessage,
      onError: () => {
        throw new Error("onError fails as well");
      },
    });
    for (const n of [0, 1, 2, 3]) queue.dispatch(message("n", n));
    await settle();
    expect(got.filter((n) => n === 3).length).toBe(3);
    expect(errors).toEqual(["one 1", "two 2"]);
    const onErrors = "onError fails as well";
    expect(reported.map((error) => (error as Error).message).sort()).toEqual([onErrors, onErrors, "one", "two"].sort());
  });

  it("get what their parse returns; what it refuses does not reach them", () => {
    const { queue, reported } = setUp();
    const got: number[] = [];
    queue.use<number>({
      event: "n",
      parse: (payload) => {
        if (typeof payload !== "number") throw new Error("not a number");
        return payload * 2;
      },
      handleMessage: ({ payload }) => void got.push(payload),
    });
    for (const payload of [1, "x", 2]) queue.dispatch(message("n", payload));
    expect([got, reported.length]).toEqual([[2, 4], 1]);
  });

  it("hear of a resync in its turn, and what comes after waits for a reload that is async", async () => {
    const { queue } = setUp();
    const reload = gate();
    const seen: Json[] = [];
    queue.use({
      event: "n",
      handleMessage: ({ payload }) => void seen.push(payload),
      onResync: async (reason) => {
        seen.push(reason);
        await reload.opened;
        seen.push("loaded");
      },
    });
    queue.dispatch(message("n", 1));
    queue.resync("epoch");
    queue.dispatch(message("n", 2));
    await settle();
    expect(seen).toEqual([1, "epoch"]);
    reload.open();
    await settle();
    expect(seen).toEqual([1, "epoch", "loaded", 2]);
  });

  it("a handler that does not keep up is told so once, and goes on with what is new", async () => {
    const { queue } = setUp();
    const first = gate();
    const seen: Json[] = [];
    queue.use({
      event: "n",
      handleMessage: async ({ payload }) => {
        if (payload === 0) await first.opened;
        seen.push(payload);
      },
      onResync: (reason) => void seen.push(reason),
    });
    for (let n = 0; n <= 10_005; n++) queue.dispatch(message("n", n));
    first.open();
    await settle();
    expect(seen).toEqual([0, "truncated", 10_001, 10_002, 10_003, 10_004, 10_005]);
  });

  it("a handler that was taken out gets nothing more, not even what waited", async () => {
    const { queue } = setUp();
    const first = gate();
    const seen: Json[] = [];
    const stop = queue.use({
      event: "n",
      handleMessage: async ({ payload }) => {
        await first.opened;
        seen.push(payload);
      },
    });
    for (const n of [1, 2]) queue.dispatch(message("n", n));
    stop();
    stop();
    queue.dispatch(message("n", 3));
    first.open();
    await settle();
    expect(seen).toEqual([1]);
  });

  it("an own message reaches those alone who wait for it, unless the channel was claimed with self", () => {
    const { queue } = setUp();
    const got: string[] = [];
    queue.use({ event: "n", handleMessage: () => void got.push("plain") });
    queue.use({ event: "n", expects: (id) => id === "mine", handleMessage: () => void got.push("waiting") });
    queue.dispatch(message("n", 1, "mine"), true);
    queue.dispatch(message("n", 2, "other"), true);
    expect(got).toEqual(["waiting"]);
  });
});

class Votes extends BaseMessageHandler<number> {
  readonly event = "vote";
  total = 0;
  readonly resyncs: ResyncReason[] = [];

  handleMessage({ payload }: Message<number>): void {
    this.total += payload;
  }

  override onResync(reason: ResyncReason): void {
    this.resyncs.push(reason);
    this.total = 100;
  }

  hope(id: string, by: number): void {
    this.applyOptimistic(
      id,
      () => {
        this.total += by;
      },
      () => {
        this.total -= by;
      },
    );
  }
}

describe("BaseMessageHandler", () => {
  it("handles a message once, by id and channel, and remembers the newest thousand", () => {
    const { queue } = setUp();
    const votes = new Votes();
    queue.use(votes);
    queue.dispatch(message("vote", 1, "a"));
    queue.dispatch(message("vote", 1, "a"));
    expect(votes.total).toBe(1);
    queue.dispatch(messageFactory.create("vote", 1, { channel: "other", id: "a" }));
    expect(votes.total).toBe(2);
    for (let i = 0; i < 999; i++) queue.dispatch(message("vote", 0));
    queue.dispatch(message("vote", 1, "a"));
    expect(votes.total).toBe(3);
  });

  it("[R6] an optimistic update is shown at once, and its message takes its place", () => {
    const { queue } = setUp();
    const votes = new Votes();
    queue.use(votes);
    votes.hope("mine", 5);
    votes.hope("mine", 5);
    expect([votes.total, votes.pendingOptimistic]).toEqual([5, 1]);
    queue.dispatch(message("vote", 1));
    queue.dispatch(message("vote", 5, "mine"), true);
    expect([votes.total, votes.pendingOptimistic]).toEqual([6, 0]);
    queue.dispatch(message("vote", 5, "mine"), true);
    votes.rejectOptimistic("mine");
    expect(votes.total).toBe(6);
  });

  it("[R1] what optimistic updates leave behind is in log order", () => {
    const { queue } = setUp();
    let text = "";
    class Last extends BaseMessageHandler<string> {
      readonly event = "text";
      handleMessage({ payload }: Message<string>): void {
        text = payload;
      }
    }
    const last = new Last();
    queue.use(last);
    last.applyOptimistic(
      "mine",
      () => {
        text = "mine";
      },
      () => {
        text = "";
      },
    );
    queue.dispatch(message("text", "theirs"));
    queue.dispatch(message("text", "mine", "mine"), true);
    queue.dispatch(message("text", "theirs again"));
    expect(text).toBe("theirs again");
  });

  it("a rejected update is undone", () => {
    const votes = new Votes();
    votes.hope("a", 5);
    votes.hope("b", 7);
    votes.rejectOptimistic("a");
    votes.rejectOptimistic("a");
    expect([votes.total, votes.pendingOptimistic]).toEqual([7, 1]);
  });

  it("an apply that throws leaves nothing pending", () => {
    const votes = new Votes();
    const fail = () => {
      throw new Error("no");
    };
    expect(() => votes.applyOptimistic("a", fail, fail)).toThrow("no");
    expect(votes.pendingOptimistic).toBe(0);
  });

  it("a resync undoes what is pending before it loads again, and the message is handled when it comes all the same", () => {
    const { queue } = setUp();
    const votes = new Votes();
    queue.use(votes);
    votes.hope("mine", 5);
    queue.resync("truncated");
    expect([votes.total, votes.pendingOptimistic, votes.resyncs]).toEqual([100, 0, ["truncated"]]);
    queue.dispatch(message("vote", 5, "mine"), true);
    expect(votes.total).toBe(105);
  });
});

describe("messageFactory", () => {
  it("makes frozen messages with ids of their own, or with the id that is given", () => {
    const made = messageFactory.create("hi", { x: 1 }, { channel: "room" });
    expect(made).toEqual({ id: made.id, channel: "room", event: "hi", payload: { x: 1 }, replayed: false });
    expect(made.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/);
    expect(made.id).not.toBe(messageFactory.create("hi", null, { channel: "room" }).id);
    expect(messageFactory.create("hi", null, { channel: "room", id: "mine" }).id).toBe("mine");
    expect(Object.isFrozen(made)).toBe(true);
  });

  it("tells messages from other values", () => {
    const made = messageFactory.create("hi", null, { channel: "room" });
    expect([made, { ...made, offset: 4 }, JSON.parse(JSON.stringify(made))].every(messageFactory.isMessage)).toBe(true);
    const { payload: _, ...without } = made;
    const others = [
      null,
      undefined,
      7,
      "message",
      [],
      {},
      without,
      { ...made, id: 7 },
      { ...made, offset: "4" },
      { ...made, replayed: undefined },
    ];
    expect(others.some(messageFactory.isMessage)).toBe(false);
  });
});
