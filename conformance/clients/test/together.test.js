// supabase-js and stock phoenix in one channel: neither knows that the other is another.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Journal } from "../harness/journal.js";
import { answer, channelOf, events, hangUp, phoenix, presences, track } from "../harness/phoenix.js";
import { Server } from "../harness/server.js";
import { broadcasts, close, joined, supabase } from "../harness/supabase.js";
import { secret } from "../harness/token.js";

for (const vsn of ["2.0.0", "1.0.0"]) {
  describe(`supabase-js with vsn ${vsn} and phoenix together`, { timeout: 60_000 }, () => {
    let server, client, socket;

    before(async () => {
      server = await Server.start({ secret });
      client = supabase(server, { vsn });
      socket = phoenix(server);
    });
    after(async () => {
      await Promise.all([close(client), hangUp(socket)]);
      await server.stop();
    });

    it("[R1] hear each other, and both hear one order", async () => {
      const config = { broadcast: { self: true } };
      const [here, there] = [client.channel("both", { config }), channelOf(socket, "both", config)];
      const [byHere, byThere] = [broadcasts(here), events(there, "broadcast")];
      await Promise.all([joined(here), answer(there.join())]);
      for (let n = 0; n < 200; n++) {
        here.send({ type: "broadcast", event: "line", payload: { from: "supabase", n } });
        there.push("broadcast", { type: "broadcast", event: "line", payload: { from: "phoenix", n } });
      }
      const [first, second] = await Promise.all([byHere.count(400), byThere.count(400)]);
      for (const from of ["supabase", "phoenix"]) {
        assert.deepEqual(
          first.filter((m) => m.payload.from === from).map((m) => m.payload.n),
          Array.from({ length: 200 }, (_, n) => n),
        );
      }
      assert.deepEqual(first, second);
    });

    it("[P1] see each other in presence, and see each other go", async () => {
      const here = client.channel("room", { config: { presence: { key: "ada" } } });
      const there = channelOf(socket, "room", { presence: { key: "ben", enabled: true } });
      const names = new Journal("who supabase-js sees");
      here.on("presence", { event: "sync" }, () => names.add(Object.keys(here.presenceState()).sort().join()));
      const seen = presences(there);
      const shows = (expected) => (items) => items.length > 0 && Object.keys(items.at(-1)).sort().join() === expected;
      await Promise.all([joined(here), answer(there.join())]);
      assert.equal(await here.track({ from: "supabase" }), "ok");
      assert.equal((await track(there, { from: "phoenix" })).status, "ok");
      await names.find((n) => n === "ada,ben", "both");
      await seen.until(shows("ada,ben"), "both");
      await client.removeChannel(here);
      await seen.until(shows("ben"), "only Ben");
    });
  });
}
