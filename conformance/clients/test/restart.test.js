// The server is killed and comes back: unmodified clients find the way by themselves.

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { Journal } from "../harness/journal.js";
import { answer, channelOf, events, hangUp, phoenix } from "../harness/phoenix.js";
import { rules } from "../harness/rules.js";
import { Server } from "../harness/server.js";
import { broadcasts, close, joined, supabase } from "../harness/supabase.js";
import { secret } from "../harness/token.js";

describe("a server that is killed and started again on the same port", { timeout: 90_000 }, () => {
  /** @type {Server} */
  let server;
  beforeEach(async () => {
    server = await Server.start({ secret, rules });
  });
  afterEach(() => server.stop());

  it("both clients come back by themselves and hear each other again", async () => {
    const [client, socket] = [supabase(server), phoenix(server)];
    const [here, there] = [client.channel("back"), channelOf(socket, "back")];
    const [byHere, byThere] = [broadcasts(here), events(there, "broadcast")];
    const joins = new Journal("joins of phoenix");
    const statuses = await joined(here);
    there.join().receive("ok", () => joins.add("ok"));
    await joins.count(1);

    await server.kill();
    await statuses.find((s) => s.status === "CHANNEL_ERROR", "CHANNEL_ERROR");
    await server.startAgain();
    await statuses.until((all) => all.at(-1).status === "SUBSCRIBED" && all.length > 1, "SUBSCRIBED again");
    await joins.count(2);

    here.send({ type: "broadcast", event: "from supabase", payload: {} });
    await byThere.count(1);
    there.push("broadcast", { type: "broadcast", event: "from phoenix", payload: {} });
    await byHere.count(1);
    await Promise.all([close(client), hangUp(socket)]);
  });

  it("[R2] what was acknowledged before kill -9 is replayed after it", async () => {
    const config = { private: true, broadcast: { ack: true } };
    const writer = phoenix(server);
    const channel = channelOf(writer, "team:log", config);
    assert.equal((await answer(channel.join())).status, "ok");
    const acks = [];
    for (let n = 0; n < 100; n++) {
      acks.push(answer(channel.push("broadcast", { type: "broadcast", event: "n", payload: { n } })));
    }
    const positions = (await Promise.all(acks)).map(({ response }) => response);
    await server.kill();
    await hangUp(writer);
    await server.startAgain();

    const client = supabase(server);
    const after = client.channel("team:log", {
      config: { private: true, broadcast: { replay: { since: Date.now() - 600_000, limit: 1000 } } },
    });
    const heard = broadcasts(after);
    await joined(after);
    const messages = await heard.count(100);
    assert.deepEqual(
      messages.map((m) => m.meta),
      positions.map((p) => ({ ...p, replayed: true })),
    );
    await close(client);
  });

  it("a server that is asked to end tells its clients, which come back", async () => {
    const client = supabase(server);
    const channel = client.channel("polite");
    const system = new Journal("system messages");
    channel.on("system", {}, system.add);
    const statuses = await joined(channel);
    await server.terminate();
    await system.find((m) => m.message === "Server requested disconnect", "announcement");
    await statuses.find((s) => s.status === "CHANNEL_ERROR" && /1012/.test(s.message), "close with 1012");
    await server.startAgain();
    await statuses.until((all) => all.at(-1).status === "SUBSCRIBED" && all.length > 1, "SUBSCRIBED again");
    await close(client);
  });
});
