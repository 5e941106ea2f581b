// The SDK's inspector in the app: what it shows, and a network that it takes away.

import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe } from "node:test";
import { devices } from "playwright-core";
import { launch } from "./lib/browser.mjs";
import { interviews, scenario } from "./lib/scenario.mjs";

const { defaultBrowserType, ...phone } = devices["Pixel 7"];
/** Where pictures of the panel go, for whoever wants to look at it. */
const PICTURES = process.env.CHORALE_PICTURES;

const panelOf = (person) => person.page.getByRole("region", { name: "Chorale devtools" });
const tab = (person, name) => person.page.getByRole("tab", { name });

async function photograph(person, name) {
  if (!PICTURES) return;
  await mkdir(PICTURES, { recursive: true });
  await person.page.screenshot({ path: join(PICTURES, `devtools-${name}.png`) });
}

describe("the inspector", () => {
  let browser;
  before(async () => {
    browser = await launch();
  });
  after(() => browser.close());

  scenario(
    "it is loaded when a key asks for it, shows channels and frames without tokens, and takes the network away",
    { browser: () => browser, lostNetwork: true },
    async (stage) => {
      const ada = await stage.person("Ada", { path: interviews.live });
      const { page } = ada;
      const loaded = () =>
        page.evaluate(() => performance.getEntriesByType("resource").filter((e) => /devtools/.test(e.name)).length);
      assert.equal(await loaded(), 0, "nothing of the panel is loaded before it is asked for");
      await page.keyboard.press("Alt+Shift+D");
      await panelOf(ada).waitFor();

      await tab(ada, /Channels/).click();
      await page
        .getByRole("article", { name: /^interview:/ })
        .getByText("joined")
        .waitFor();
      await tab(ada, /Connection/).focus();
      await tab(ada, /Connection/).click();
      await page.keyboard.press("End");
      assert.equal(await page.getByRole("tab", { selected: true }).textContent(), "Troubles");

      await page.getByRole("checkbox", { name: "Offline" }).check();
      await ada.isDisconnected();
      await ada.write("Written on the train");
      await tab(ada, /Writes/).click();
      await page.getByRole("list", { name: "Unsettled writes" }).getByText("1 pending").waitFor();
      await ada.isPending("Written on the train");
      await photograph(ada, "offline");
      await page.getByRole("checkbox", { name: "Offline" }).uncheck();
      await ada.isConnected();
      await ada.hasSettled("Written on the train");

      await tab(ada, /Messages/).click();
      await page.getByRole("searchbox", { name: "Find frames" }).fill("phx_join interview");
      const join = panelOf(ada).locator("details").first();
      await join.locator("summary").click();
      const shown = await join.locator("pre").textContent();
      assert.match(shown, /"access_token": "\[redacted\]"/);
      assert.doesNotMatch(await panelOf(ada).textContent(), /eyJ/, "no token is shown");
      await page.getByRole("searchbox", { name: "Find frames" }).press("Escape"); // empties the field
      await tab(ada, /Messages/).press("Escape");
      await panelOf(ada).waitFor({ state: "detached" });
      await page.getByRole("button", { name: "Chorale devtools: connected" }).waitFor();
    },
  );

  scenario("latency is added at the press of a button, and taken back", { browser: () => browser }, async (stage) => {
    const ada = await stage.person("Ada", { path: interviews.live });
    const { page } = ada;
    await page.keyboard.press("Alt+Shift+D");
    await page.getByRole("combobox", { name: "Latency" }).selectOption("2000");
    await ada.write("Over the sea");
    await ada.isPending("Over the sea");
    await page.getByRole("combobox", { name: "Latency" }).selectOption("0");
    await ada.hasSettled("Over the sea");
  });

  for (const [screen, context] of [
    ["desktop", { viewport: { width: 1180, height: 820 } }],
    ["phone", phone],
  ])
    for (const colorScheme of ["light", "dark"])
      scenario(
        `on a ${screen}, ${colorScheme}, nothing of it is wider than the screen, and text can be read`,
        { browser: () => browser },
        async (stage) => {
          const ada = await stage.person("Ada", { path: interviews.live, context: { ...context, colorScheme } });
          const { page } = ada;
          await page.evaluate(() =>
            window.dispatchEvent(new KeyboardEvent("keydown", { code: "KeyD", key: "D", altKey: true, shiftKey: true })),
          );
          await panelOf(ada).waitFor();
          await ada.write("A note for the panel");
          await ada.hasSettled("A note for the panel");
          for (const name of ["Connection", "Channels", "Messages"]) {
            await tab(ada, new RegExp(name)).click();
            const { width, height, right, bottom } = await panelOf(ada).evaluate((panel) => {
              const box = panel.getBoundingClientRect();
              return { width: innerWidth, height: innerHeight, right: box.right, bottom: box.bottom };
            });
            assert.ok(right <= width && bottom <= height, `${name} is on the screen`);
            await photograph(ada, `${screen}-${colorScheme}-${name.toLowerCase()}`);
          }
          const [ink, paper] = await panelOf(ada).evaluate((panel) => {
            const { color, backgroundColor } = getComputedStyle(panel);
            return [color, backgroundColor];
          });
          const light = (rgb) => Number(/\d+/.exec(rgb)[0]) > 128;
          assert.equal(light(paper), colorScheme === "light");
          assert.notEqual(light(ink), light(paper));
        },
      );
});
