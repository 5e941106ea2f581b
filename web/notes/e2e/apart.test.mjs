// The network goes away, or the server does, and everybody ends with the same notes.

import assert from "node:assert/strict";
import { after, before, describe } from "node:test";
import { launch } from "./lib/browser.mjs";
import { seeTheSame } from "./lib/person.mjs";
import { scenario } from "./lib/scenario.mjs";

describe("lost connections", () => {
  let browser;
  before(async () => {
    browser = await launch();
  });
  after(() => browser.close());
  const here = { browser: () => browser, lostNetwork: true };

  scenario("[R3] [R4] one goes offline, writes, comes back, and both see the same", here, async (stage) => {
    const ada = await stage.person("Ada");
    const { person: ben, wire } = await stage.personOnWire("Ben");
    await ada.write("The tide table hangs by the door");
    await Promise.all([ada.hasSettled("The tide table hangs by the door"), ben.hasSettled("The tide table hangs by the door")]);

    await ben.context.setOffline(true);
    wire.cut(); // a socket that is open outlives the browser's offline mode
    await ben.isDisconnected();
    await ben.write("Written below deck");
    await ben.isPending("Written below deck");
    await ben.moveTo("The tide table hangs by the door", "03:21");
    await ada.write("Written on the quay");
    await ada.hasSettled("Written on the quay");
    await ada.rewrite("The tide table hangs by the door", "The tide table hangs behind the door");
    await ada.save();
    assert.equal(await ada.note("Written below deck").count(), 0);

    wire.mend();
    await ben.context.setOffline(false);
    await ben.isConnected();
    await seeTheSame(
      ada,
      ben,
      (notes) =>
        notes.has("Written below deck") &&
        notes.has("Written on the quay") &&
        notes.get("The tide table hangs behind the door")?.time === "03:21",
    );
  });

  scenario(
    "[R2] the server is killed after it acknowledged a note; it starts again, and the note is there",
    here,
    async (stage) => {
      const [ada, ben] = [await stage.person("Ada"), await stage.person("Ben")];
      await ada.write("Acknowledged, then kill -9");
      await ada.hasSettled("Acknowledged, then kill -9");
      await stage.server.kill();
      await Promise.all([ada.isDisconnected(), ben.isDisconnected()]);
      await ben.write("Written while there was no server");
      await ben.isPending("Written while there was no server");

      await stage.server.startAgain();
      await Promise.all([ada.isConnected(), ben.isConnected()]);
      const texts = ["Acknowledged, then kill -9", "Written while there was no server"];
      const timeline = await seeTheSame(ada, ben, (notes) => texts.every((text) => notes.has(text)));
      for (const text of texts) assert.equal(timeline.filter((note) => note.text === text).length, 1, `${text}: once`);

      const cleo = await stage.person("Cleo"); // who has nothing but what the server kept
      await seeTheSame(ada, cleo, (notes) => texts.every((text) => notes.has(text)));
    },
  );

  for (const { when, arrives } of [
    { when: "before a write arrives", arrives: false },
    { when: "after a write arrived and before its answer does", arrives: true },
  ]) {
    scenario(`[R4] [R6] a wire breaks ${when}: the note is there, once`, here, async (stage) => {
      const ada = await stage.person("Ada");
      const { person: ben, wire } = await stage.personOnWire("Ben");
      if (arrives) wire.holdAnswers();
      else wire.hold();
      await ben.write("On its way");
      await ben.isPending("On its way");
      if (arrives) await ada.sees("On its way");
      wire.cut();
      await ben.isDisconnected();
      wire.letGo();
      wire.mend();
      await ben.isConnected();
      const timeline = await seeTheSame(ada, ben, (notes) => notes.has("On its way"));
      assert.equal(timeline.filter((note) => note.text === "On its way").length, 1);
    });
  }
});
