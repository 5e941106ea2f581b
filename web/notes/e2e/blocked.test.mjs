// A network that lets HTTP through and no WebSocket: the app goes around it, and back when it may.

import assert from "node:assert/strict";
import { after, before, describe } from "node:test";
import { launch } from "./lib/browser.mjs";
import { eventually } from "./lib/eventually.mjs";
import { seeTheSame } from "./lib/person.mjs";
import { CompanyProxy } from "./lib/proxy.mjs";
import { scenario } from "./lib/scenario.mjs";

describe("where WebSockets are blocked", () => {
  let browser;
  before(async () => {
    browser = await launch();
  });
  after(() => browser.close());
  const here = { browser: () => browser, lostNetwork: true };

  scenario("[H5] two people see each other's notes at once, one of them over events and POSTs", here, async (stage) => {
    const proxy = await CompanyProxy.to(stage.server.url);
    try {
      const [ada, ben] = [await stage.person("Ada", { url: proxy.url }), await stage.person("Ben")];
      assert.deepEqual([proxy.streams, proxy.sockets], [1, 0]);
      await ada.write("Written behind the company's proxy");
      await ben.sees("Written behind the company's proxy");
      await ada.hasSettled("Written behind the company's proxy");
      await ben.rewrite("Written behind the company's proxy", "Read outside of it");
      await ben.save();
      await ada.sees("Read outside of it");
      await ben.see("composer-input").pressSequentially("He looks at the");
      await ada.see("typing").getByText("Ben is writing").waitFor();
      await ben.see("composer-input").fill("");
      await ada.page.reload();
      await ada.isConnected();
      await seeTheSame(ada, ben, (notes) => notes.has("Read outside of it"));
      assert.equal(proxy.sockets, 0);
    } finally {
      await proxy.close();
    }
  });

  scenario("[R3] [R4] [H5] when WebSockets pass again the page moves to one, and nothing is lost", here, async (stage) => {
    const proxy = await CompanyProxy.to(stage.server.url);
    try {
      const [ada, ben] = [await stage.person("Ada", { url: proxy.url }), await stage.person("Ben")];
      const statuses = await ada.page.evaluateHandle(() => {
        const seen = [];
        const indicator = document.querySelector('[data-testid="connection"]');
        const look = () => seen.push(indicator.dataset.status);
        new MutationObserver(look).observe(indicator, { attributes: true, attributeFilter: ["data-status"] });
        return seen;
      });
      proxy.allow();
      await ada.write("Before the move");
      await ada.page.evaluate(() => window.dispatchEvent(new Event("online")));
      for (const n of [1, 2, 3, 4]) {
        await ada.write(`Ada ${n}`);
        await ben.write(`Ben ${n}`);
      }
      const moved = () => Promise.resolve([proxy.streams, proxy.sockets]);
      await eventually(moved, ([streams, sockets]) => streams === 0 && sockets === 1, "the page moves to a WebSocket");
      await ada.write("After the move");
      await ben.write("And an answer");
      const texts = ["Before the move", "Ada 1", "Ada 4", "Ben 1", "Ben 4", "After the move", "And an answer"];
      const timeline = await seeTheSame(ada, ben, (notes) => texts.every((text) => notes.has(text)));
      for (const text of texts) assert.equal(timeline.filter((note) => note.text === text).length, 1, `${text}: once`);
      assert.deepEqual(await statuses.jsonValue(), [], "the page does not look as if the connection were lost");
    } finally {
      await proxy.close();
    }
  });
});
