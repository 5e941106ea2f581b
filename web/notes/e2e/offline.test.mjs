// What is kept on the device: over a reload, a crash and days without a network.

import assert from "node:assert/strict";
import { after, before, describe } from "node:test";
import { launch } from "./lib/browser.mjs";
import { eventually } from "./lib/eventually.mjs";
import { interviews, scenario } from "./lib/scenario.mjs";

const EDITS = 200;

/** Writes so many notes with the composer, from within the page: a driver's round trips would take longer than the rest. */
async function writeAll(input, [edits, word]) {
  const { set } = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(input), "value");
  for (let i = 0; i < edits; i++) {
    set.call(input, `${word} ${i}`);
    input.dispatchEvent(new Event("input", { bubbles: true }));
    await new Promise((done) => setTimeout(done)); // React has rendered
    input.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true }));
  }
}

describe("kept on the device", () => {
  let browser;
  before(async () => {
    browser = await launch();
  });
  after(() => browser.close());
  const lost = { browser: () => browser, lostNetwork: true };

  /** Takes the server's sockets and streams away from all of a person's tabs, and leaves the pages themselves. */
  const unplug = async ({ context }) => {
    let isCut = true;
    const open = new Set();
    await context.routeWebSocket(/\/socket\//, (page) => {
      if (isCut) {
        page.close();
        return;
      }
      const server = page.connectToServer();
      open.add(server);
    });
    await context.route(/\/socket\/sse|\/api\/ping/, (route) => (isCut ? route.abort() : route.continue()));
    return { mend: () => (isCut = false) };
  };

  /** What the device has in one of its stores: "records" or "outbox". */
  const kept = async (person, store) => {
    const sub = await person.see("me").getAttribute("data-sub");
    return person.page.evaluate(
      ([name, store]) =>
        new Promise((resolve, reject) => {
          const opening = indexedDB.open(name);
          opening.onerror = () => reject(opening.error);
          opening.onsuccess = () => {
            const all = opening.result.transaction(store).objectStore(store).getAll();
            all.onsuccess = () => {
              opening.result.close();
              resolve(all.result);
            };
          };
        }),
      [`chorale/notes/${sub}`, store],
    );
  };

  /** Somebody whose tabs have no server, from the first page on. */
  const offline = async (stage, name) => {
    const person = await stage.person(name);
    const notes = (await person.timeline()).length;
    await eventually(
      async () => (await kept(person, "records")).filter(({ collection }) => collection === "notes").length,
      (found) => found === notes,
      "the device has all notes that are shown",
    );
    const network = await unplug(person);
    await person.page.reload();
    await person.isDisconnected();
    await person.see("note").waitFor(); // what was known is shown without a server
    return { person, network };
  };

  const textsOf = async (person) => (await person.timeline()).map(({ text }) => text);

  scenario(`[R4] ${EDITS} edits offline survive a reload, and are applied once, in order`, lost, async (stage) => {
    const { person: ada, network } = await offline(stage, "Ada");
    const known = await textsOf(ada);
    await ada.see("composer-input").evaluate(writeAll, [EDITS, "Edit"]);
    await ada.see("connection").getByText(`${EDITS} unsent edits, kept on this device`).waitFor();
    await ada.page.reload();
    await ada.see("connection").getByText(`${EDITS} unsent edits, kept on this device`).waitFor();
    await eventually(
      async () => (await textsOf(ada)).length,
      (notes) => notes === known.length + EDITS,
      "what was known and all edits are shown",
    );

    network.mend();
    await ada.isConnected();
    const ben = await stage.person("Ben");
    const made = ({ id, text, pending }) => ({ id, text, pending });
    const timeline = await eventually(
      async () => (await ben.timeline()).map(made).filter(({ text }) => text.startsWith("Edit ")),
      (notes) => notes.length === EDITS,
      "Ben sees all of Ada's edits",
    );
    const inOrder = timeline.sort((a, b) => (a.id < b.id ? -1 : 1)).map(({ text }) => text);
    assert.deepEqual(
      inOrder,
      Array.from({ length: EDITS }, (_, i) => `Edit ${i}`),
    );
    await eventually(
      () => ada.timeline(),
      (notes) => notes.every(({ pending }) => !pending),
      "nothing is pending",
    );
  });

  scenario("[trap 33] two tabs offline and back; a tab that crashed: the other sends what it left", lost, async (stage) => {
    const { person: ada, network } = await offline(stage, "Ada");
    const second = await ada.context.newPage();
    const sub = await ada.see("me").getAttribute("data-sub");
    await second.goto(ada.page.url().split("?")[0]);
    await second.getByTestId("me").first().waitFor();
    // Who one is belongs to the tab: handed over as a browser does when it duplicates one, once this tab has become somebody itself.
    const session = await ada.page.evaluate(() => sessionStorage.getItem("chorale.session"));
    await second.evaluate((text) => sessionStorage.setItem("chorale.session", text), session);
    await second.reload();
    await second.locator(`[data-testid="me"][data-sub="${sub}"]`).first().waitFor();
    await ada.write("Of the first tab");
    await second.getByTestId("composer-input").fill("Of the second tab");
    await second.getByTestId("composer-input").press("Enter");
    await second.getByText("1 unsent edit, kept on this device").first().waitFor();

    const devtools = await ada.context.newCDPSession(second);
    devtools.send("Page.crash").catch(() => {}); // there is nobody left to answer
    network.mend();
    await ada.isConnected();
    await ada.sees("Of the second tab");
    await ada.hasSettled("Of the second tab");
    await ada.hasSettled("Of the first tab");
    const ben = await stage.person("Ben");
    await ben.sees("Of the first tab");
    const texts = await textsOf(ben);
    for (const text of ["Of the first tab", "Of the second tab"])
      assert.equal(texts.filter((other) => other === text).length, 1);
  });

  scenario(
    "[trap 33] a tab that is killed while it writes leaves a beginning of it, which takes effect once",
    lost,
    async (stage) => {
      const { person: ada, network } = await offline(stage, "Ada");
      const second = await ada.context.newPage();
      await second.goto(ada.page.url().split("?")[0]);
      await second.getByTestId("me").first().waitFor();
      const session = await ada.page.evaluate(() => sessionStorage.getItem("chorale.session"));
      await second.evaluate((text) => sessionStorage.setItem("chorale.session", text), session);
      await second.reload();
      const sub = await ada.see("me").getAttribute("data-sub");
      await second.locator(`[data-testid="me"][data-sub="${sub}"]`).first().waitFor();
      const composer = second.getByTestId("composer-input");
      composer.evaluate(writeAll, [EDITS, "Killed"]).catch(() => {}); // it need not come to its end
      await eventually(
        () => kept(ada, "outbox"),
        (writes) => writes.length > 20,
        "some of it is on the device",
      );
      const devtools = await ada.context.newCDPSession(second);
      devtools.send("Page.crash").catch(() => {}); // there is nobody left to answer
      network.mend();
      await ada.isConnected();
      await eventually(
        () => kept(ada, "outbox"),
        (writes) => writes.length === 0,
        "all that was kept has been sent",
      );
      const ben = await stage.person("Ben");
      const arrived = async () =>
        (await ben.timeline())
          .sort((a, b) => (a.id < b.id ? -1 : 1))
          .flatMap(({ text }) => (text.startsWith("Killed ") ? [text] : []));
      const texts = await eventually(arrived, (found) => found.length > 20, "Ben sees what was kept");
      assert.deepEqual(
        texts,
        texts.map((_, i) => `Killed ${i}`),
      );
    },
  );

  scenario("[trap 34] signing out leaves nothing on the device", lost, async (stage) => {
    const ada = await stage.person("Ada", { path: interviews.planned });
    await ada.write("Ada's own");
    await ada.hasSettled("Ada's own");
    const databases = () => ada.page.evaluate(async () => (await indexedDB.databases()).map(({ name }) => name));
    const sub = await ada.see("me").getAttribute("data-sub");
    await eventually(databases, (names) => names.includes(`chorale/notes/${sub}`), "there is a database");
    await ada.see("me").click();
    await ada.see("sign-out").click();
    await eventually(databases, (names) => !names.includes(`chorale/notes/${sub}`), "the database is gone");
    await ada.page.locator(`[data-testid="me"]:not([data-sub="${sub}"])`).first().waitFor();
  });
});
