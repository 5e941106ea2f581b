// Several tabs of one browser have one socket, and any of them may go.

import assert from "node:assert/strict";
import { after, before, describe } from "node:test";
import { launch } from "./lib/browser.mjs";
import { eventually } from "./lib/eventually.mjs";
import { scenario } from "./lib/scenario.mjs";
import { socketsOf } from "./lib/sockets.mjs";

/** How many notes the other tab writes, while the first one closes. */
const NOTES = 30;

describe("tabs", () => {
  let browser;
  before(async () => {
    browser = await launch();
  });
  after(() => browser.close());

  const sessionsAt = async (server) => {
    const text = await (await fetch(`${server.url}/metrics`)).text();
    return Number(/^chorale_sessions (\d+)/m.exec(text)?.[1]);
  };

  scenario(
    "[W1] two tabs have one socket; the one that holds it closes, the other goes on writing",
    { browser: () => browser },
    async (stage) => {
      const ada = await stage.person("Ada");
      const open = socketsOf(ada);
      await ada.page.reload(); // so that its socket is seen
      await ada.isConnected();
      await ada.see("note").waitFor();
      const second = await ada.tab("Ben"); // another user, even
      await second.see("note").waitFor();
      const carl = await stage.person("Carl");
      await eventually(
        async () => [open.size, await sessionsAt(stage.server)],
        ([sockets, sessions]) => sockets === 1 && sessions === 3,
        "two tabs of Ada's browser have one socket, and two sessions beside Carl's",
      );
      assert.match([...open][0].url(), /\/socket\/lanes\?/);

      await ada.write("Of the first tab");
      await second.sees("Of the first tab");
      for (let i = 0; i < NOTES; i++) {
        await second.write(`Of the second tab ${i}`);
        if (i === NOTES / 3) await ada.page.close();
      }
      await second.hasSettled(`Of the second tab ${NOTES - 1}`);
      await second.isConnected();
      await eventually(
        async () => [open.size, await sessionsAt(stage.server)],
        ([sockets, sessions]) => sockets === 1 && sessions === 2,
        "the other tab has the one socket now",
      );
      const texts = await eventually(
        async () => (await carl.timeline()).map(({ text }) => text).filter((text) => text.startsWith("Of the second tab ")),
        (found) => found.length >= NOTES,
        "Carl sees everything",
      );
      assert.deepEqual(texts.toSorted(), Array.from({ length: NOTES }, (_, i) => `Of the second tab ${i}`).toSorted());
    },
  );

  scenario(
    "the tab that holds the socket stops: the other gets one of its own, and both are current when it goes on",
    { browser: () => browser },
    async (stage) => {
      const ada = await stage.person("Ada");
      const second = await ada.tab("Ben");
      const carl = await stage.person("Carl");
      const devtools = await ada.context.newCDPSession(ada.page);
      const own = second.page.waitForEvent("websocket");
      // As a browser freezes a page: nothing of it runs. What CDP calls frozen leaves messages and sockets alone.
      await devtools.send("Debugger.enable");
      await devtools.send("Debugger.pause");
      await second.write("Written while the socket's tab slept");
      await own; // when that was not noticed
      await carl.sees("Written while the socket's tab slept");
      await carl.write("An answer");
      await second.sees("An answer");
      await devtools.send("Debugger.resume");
      await ada.sees("An answer");
      await ada.write("Awake again");
      for (const person of [second, carl]) await person.sees("Awake again");
    },
  );
});
