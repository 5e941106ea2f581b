import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Peer, World } from "./model-world";

const RECORDS = ["r1", "r2", "r3"];
const TAGS = ["a", "b", "c"];

/** One step: what happens, to which peer, and a number for the rest. */
type Step = readonly [kind: string, peer: number, pick: number];

const often = (weights: Record<string, number>) =>
  fc.oneof(...Object.entries(weights).map(([kind, weight]) => ({ weight, arbitrary: fc.constant(kind) })));

const step: fc.Arbitrary<Step> = fc.tuple(
  often({
    ...{ add: 4, type: 6, tag: 4, vote: 4, delete: 3, restore: 3 },
    ...{ up: 16, down: 20, early: 3, twice: 3, drop: 4, join: 8, zombie: 4, bury: 2 },
    ...{ reject: 2, refuse: 2, time: 2 },
  }),
  fc.nat(2),
  fc.nat(8),
);

const edit: Record<string, (peer: Peer, record: string, pick: number, count: number) => void> = {
  add: (peer, id, pick, count) => {
    const tags = [TAGS[pick % 3] ?? ""];
    peer.write("add", id, (notes) => notes.add({ id, content: `made-${count}`, tags }));
  },
  type: (peer, id, _, count) => {
    const isVisible = peer.shown(id) !== undefined;
    peer.write("type", id, (notes) => notes.patch(id, { content: `typed-${count}` }));
    if (isVisible) expect(peer.shown(id)?.content, "[R6] an own write is shown at once").toBe(`typed-${count}`);
  },
  tag: (peer, id, pick) => {
    const tag = TAGS[Math.floor(pick / 3)] ?? "";
    const old = peer.shown(id)?.tags ?? [];
    const tags = old.includes(tag) ? old.filter((other) => other !== tag) : [...old, tag];
    peer.write("tag", id, (notes) => notes.patch(id, { tags }));
  },
  vote: (peer, id, pick) => {
    if (peer.shown(id) === undefined) return;
    peer.write("vote", id, (notes) => notes.patch(id, { votes: { increment: pick + 1 } }), pick + 1);
  },
  delete: (peer, id) => peer.write("delete", id, (notes) => notes.delete(id)),
  restore: (peer, id, _, count) => {
    peer.write("restore", id, (notes) => notes.restore(id, { content: `restored-${count}` }));
  },
};

const network: Record<string, (peer: Peer) => void> = {
  up: (peer) => peer.up(),
  down: (peer) => peer.down(),
  early: (peer) => peer.earlyAnswer(),
  twice: (peer) => peer.twice(),
  drop: (peer) => peer.drop(),
  join: (peer) => peer.join(),
  zombie: (peer) => peer.zombie(),
  bury: (peer) => peer.bury(),
};

const server: Record<string, (world: World, pick: number) => void> = {
  reject: (world) => {
    world.rejects++;
  },
  refuse: (world) => {
    world.refuses++;
  },
  time: (world, pick) => world.pass(pick * 50),
};

function take(world: World, [kind, who, pick]: Step, count: number): void {
  const peer = world.peers[who];
  if (peer === undefined) throw new Error(`there is no peer ${who}`);
  edit[kind]?.(peer, RECORDS[pick % 3] ?? "", pick, count);
  network[kind]?.(peer);
  server[kind]?.(world, pick);
}

describe("Model", () => {
  it("[R2 R4 R5 R6] whatever the network does, all peers converge, and no write is lost, doubled or flickers", async () => {
    const skews = fc.tuple(...[0, 1, 2].map(() => fc.integer({ min: -30_000, max: 30_000 })));
    await fc.assert(
      fc.asyncProperty(skews, fc.array(step, { minLength: 10, maxLength: 80, size: "max" }), async (skewsMs, steps) => {
        const world = new World(skewsMs);
        for (const peer of world.peers) peer.join();
        let count = 0;
        for (const each of steps) take(world, each, ++count);
        world.quiesce();
        for (const peer of world.peers) await peer.collect();
        world.checkEnd();
      }),
      { numRuns: 2_500 },
    );
    expect.hasAssertions();
  }, 60_000);
});
