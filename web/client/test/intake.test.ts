import { describe, expect, it } from "vitest";
import { createPlatform } from "../src/env";
import { createIntake } from "../src/intake";
import { createFakePlatform } from "../src/testing";
import { createRoom } from "./people";

/** An intake, and what it has handed on; each turn of the page begins a line. */
function anIntake() {
  const platform = createFakePlatform();
  const lines: string[][] = [[]];
  const intake = createIntake(
    {
      nextTask: (run) =>
        platform.nextTask(() => {
          lines.push([]);
          run();
        }),
    },
    (data) => lines.at(-1)?.push(data),
  );
  const take = (from: number, to: number) => {
    for (let n = from; n < to; n++) intake.take(String(n));
  };
  return { intake, take, lines, pass: () => platform.advance(0) };
}

const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => String(from + n));

describe("frames that come without a pause", () => {
  it("are handled at once while there are few, and the others together in the page's next task, in their order", async () => {
    const { take, lines, pass } = anIntake();
    take(0, 200);
    expect(lines).toEqual([numbers(0, 16)]);
    await pass();
    expect(lines).toEqual([numbers(0, 16), numbers(16, 200), []]);
    take(200, 210);
    expect(lines.at(-1)).toEqual(numbers(200, 210));
  });

  it("are handled in pieces when they are very many, so that no task is long", async () => {
    const { take, lines, pass } = anIntake();
    take(0, 1_200);
    await pass();
    expect(lines.map(({ length }) => length)).toEqual([16, 512, 512, 160, 0]);
    expect(lines.flat()).toEqual(numbers(0, 1_200));
  });

  it("go on together for as long as more come before the page's next task", async () => {
    const turns: (() => void)[] = [];
    const handled: string[] = [];
    const intake = createIntake({ nextTask: (run) => turns.push(run) }, (data) => handled.push(data));
    for (let turn = 0; turn < 5; turn++) {
      for (let n = 0; n < 20; n++) intake.take(`${turn}.${n}`);
      expect(turns).toHaveLength(1);
      expect(handled).toHaveLength(turn === 0 ? 16 : turn * 20);
      turns.shift()?.();
      expect(handled).toHaveLength((turn + 1) * 20);
    }
    turns.shift()?.(); // finds nothing
    expect(turns).toEqual([]);
  });

  it("are all handled before the end of their socket is", () => {
    const { intake, take, lines } = anIntake();
    take(0, 40);
    intake.flush();
    expect(lines).toEqual([numbers(0, 40)]);
  });
});

it("[R1] messages that a server sent right before it closed the socket are delivered once, and nothing is missed after it", async () => {
  const room = createRoom({});
  const [ada, ben] = [room.join("ada"), room.join("ben")];
  await room.platform.advance(1_000);
  const heard: string[] = [];
  ben.channel.on<string>("n", ({ payload }) => heard.push(payload));
  const due = room.platform.now() + 500;
  const late = room.server.intercept(({ direction, event }) =>
    direction === "down" && event === "broadcast" ? { delayMs: due - room.platform.now() } : undefined,
  );
  for (let n = 0; n < 100; n++) void ada.channel.publish("n", String(n));
  await room.platform.advance(400);
  late();
  room.platform.setTimeout(() => room.server.kill(), due - room.platform.now());
  await room.platform.advance(5_000);
  expect(heard).toEqual(numbers(0, 100));
});

it("[R6] an own write is shown at once in the midst of a burst of others", async () => {
  const room = createRoom({});
  const [ada, ben] = [room.join("ada"), room.join("ben")];
  await room.platform.advance(1_000);
  const told: number[] = [];
  ben.notes.snapshot.subscribe(() => {
    const { records } = ben.notes.snapshot.getSnapshot();
    told.push(records.length);
    if (told.length !== 10) return;
    ben.notes.add({ id: "own", content: "own", timestampMs: 0, tags: [], votes: 0 });
    expect(ben.notes.snapshot.getSnapshot().byId.has("own")).toBe(true);
    expect(told).toHaveLength(11); // told already
  });
  for (let n = 0; n < 100; n++) ada.notes.add({ content: `${n}`, timestampMs: 0, tags: [], votes: 0 });
  await room.platform.advance(5_000);
  expect(ben.notes.snapshot.getSnapshot().records).toHaveLength(101);
  expect(told).toEqual([...told].sort((a, b) => a - b)); // nothing vanishes
});

it("the browser's next task comes after the promises of this one", async () => {
  const order: string[] = [];
  const { nextTask } = createPlatform();
  await new Promise<void>((resolve) => {
    nextTask(() => {
      order.push("task");
      resolve();
    });
    void Promise.resolve()
      .then(() => Promise.resolve())
      .then(() => order.push("promise"));
    order.push("now");
  });
  expect(order).toEqual(["now", "promise", "task"]);
});
