// The app in one hand.

import assert from "node:assert/strict";
import { after, before, describe } from "node:test";
import { devices } from "playwright-core";
import { launch } from "./lib/browser.mjs";
import { scenario } from "./lib/scenario.mjs";

const { defaultBrowserType, ...phone } = devices["Pixel 7"];

describe("a phone", () => {
  let browser;
  before(async () => {
    browser = await launch();
  });
  after(() => browser.close());

  scenario(
    "one finds an interview, writes a note and goes back, and nothing is wider than the screen",
    { browser: () => browser },
    async (stage) => {
      const ada = await stage.person("Ada", { path: "/", context: phone });
      const ben = await stage.person("Ben");
      const { page } = ada;
      const fits = async (where) => {
        const { width, screen } = await page.evaluate(() => ({
          width: document.scrollingElement.scrollWidth,
          screen: window.innerWidth,
        }));
        assert.ok(width <= screen, `${where}: ${width} px on a screen of ${screen} px`);
      };
      await page.getByTestId("project-link").filter({ hasText: "Tablets" }).tap();
      await fits("the project");
      await page.getByTestId("interview-link").first().tap();
      await ada.see("composer-input").waitFor();
      await fits("the interview");

      const { bottom, height } = await page.evaluate(() => ({
        bottom: document.querySelector('[data-testid="composer-submit"]').getBoundingClientRect().bottom,
        height: window.innerHeight,
      }));
      assert.ok(bottom <= height, "the composer is on the screen");
      await ada.see("composer-input").fill("From the car deck");
      await ada.see("composer-submit").tap();
      await ada.hasSettled("From the car deck");
      await ben.sees("From the car deck");
      await ada.note("From the car deck").getByTestId("note-edit").tap();
      await ada.see("note-editor").fill("From the upper car deck");
      await ada.save();
      await ben.sees("From the upper car deck");
      await fits("after writing");

      await ada.see("back-link").tap();
      await page.getByTestId("interview-link").first().waitFor();
    },
  );
});
