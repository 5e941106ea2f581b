// The life of a presence, as supabase-js shows it.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Journal } from "../harness/journal.js";
import { Server } from "../harness/server.js";
import { close, cuttable, joined, supabase } from "../harness/supabase.js";
import { secret } from "../harness/token.js";

/** Who is there after each sync: `{key: [what each of its members says]}`, without the references. */
function watch(channel) {
  const seen = { syncs: new Journal("syncs"), joins: new Journal("joins"), leaves: new Journal("leaves") };
  channel.on("presence", { event: "sync" }, () => {
    const plain = (metas) => metas.map(({ presence_ref, ...said }) => said);
    seen.syncs.add(Object.fromEntries(Object.entries(channel.presenceState()).map(([key, metas]) => [key, plain(metas)])));
  });
  channel.on("presence", { event: "join" }, seen.joins.add);
  channel.on("presence", { event: "leave" }, seen.leaves.add);
  return seen;
}

const shows = (expected) => (items) => JSON.stringify(items.at(-1)) === JSON.stringify(expected);
const withKey = (key) => ({ config: { presence: { key } } });

for (const vsn of ["2.0.0", "1.0.0"]) {
  describe(`supabase-js presence, vsn ${vsn}`, { timeout: 60_000 }, () => {
    let server;
    const clients = [];
    const client = (options = {}) => {
      const made = supabase(server, { vsn, ...options });
      clients.push(made);
      return made;
    };

    before(async () => {
      server = await Server.start({ secret });
    });
    after(async () => {
      await Promise.all(clients.map(close));
      await server.stop();
    });

    it("[P1] [P2] [P3] track, track again, untrack: the others see a join, a change, a leave", async () => {
      const [ada, ben] = [client().channel("life", withKey("ada")), client().channel("life", withKey("ben"))];
      const seen = watch(ben);
      await Promise.all([joined(ada), joined(ben)]);
      await seen.syncs.until(shows({}), "an empty room");

      assert.equal(await ada.track({ mood: "calm" }), "ok");
      await seen.syncs.until(shows({ ada: [{ mood: "calm" }] }), "Ada, calm");
      assert.equal(await ada.track({ mood: "busy" }), "ok");
      await seen.syncs.until(shows({ ada: [{ mood: "busy" }] }), "Ada, busy, once");
      assert.equal(await ada.untrack(), "ok");
      await seen.syncs.until(shows({}), "an empty room again");

      assert.equal(seen.joins.items[0].key, "ada");
      const [changed, left] = seen.leaves.items.map((l) => l.leftPresences[0]);
      assert.equal(changed.presence_ref, seen.joins.items[0].newPresences[0].presence_ref);
      assert.equal(left.presence_ref, seen.joins.items[1].newPresences[0].presence_ref);
    });

    it("[P2] saying the same again is no change", async () => {
      const [ada, ben] = [client().channel("same", withKey("ada")), client().channel("same", withKey("ben"))];
      const seen = watch(ben);
      await Promise.all([joined(ada), joined(ben)]);
      await ada.track({ at: 1 });
      await ada.track({ at: 1 });
      await ada.track({ at: 2 });
      await seen.syncs.until(shows({ ada: [{ at: 2 }] }), "the second place");
      assert.equal(seen.joins.items.length, 2);
    });

    it("who joins later is shown who is there, with both tabs of one person", async () => {
      const tabs = [client(), client()].map((c) => c.channel("late", withKey("ada")));
      await Promise.all(tabs.map(joined));
      await tabs[0].track({ tab: 1 });
      await tabs[1].track({ tab: 2 });
      const late = client().channel("late", withKey("ben"));
      const seen = watch(late);
      await joined(late);
      const [first] = await seen.syncs.count(1);
      assert.deepEqual(first.ada.map((m) => m.tab).sort(), [1, 2]);
    });

    it("[P3] leaving a channel and losing the socket end a presence", async () => {
      const wire = cuttable();
      const [ada, cleo, ben] = [client(), client({ transport: wire.transport }), client()];
      const [a, c, b] = [ada.channel("gone", withKey("ada")), cleo.channel("gone", withKey("cleo")), ben.channel("gone")];
      const seen = watch(b);
      await Promise.all([a, b, c].map(joined));
      await Promise.all([a.track({}), c.track({})]);
      await seen.syncs.until((all) => Object.keys(all.at(-1) ?? {}).length === 2, "both");
      await ada.removeChannel(a);
      await seen.syncs.until(shows({ cleo: [{}] }), "only Cleo");
      wire.cut();
      await seen.syncs.until(shows({}), "nobody");
    });
  });
}
