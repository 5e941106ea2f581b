// What a page offers is in sight: nothing of it lies below the edge or under something else.

import assert from "node:assert/strict";
import { after, before, describe } from "node:test";
import { launch } from "./lib/browser.mjs";
import { eventually } from "./lib/eventually.mjs";
import { interviews, scenario } from "./lib/scenario.mjs";

/** How far below the list's lower edge an element ends, in px; what ends in the last of the list is faded out there. */
const depthInList = (locator) =>
  locator.evaluate(
    (element) => element.getBoundingClientRect().bottom - element.closest(".fade-below").getBoundingClientRect().bottom,
  );

/** The height of the fading, in px. */
const FADE = 24;

describe("in sight", () => {
  let browser;
  before(async () => {
    browser = await launch();
  });
  after(() => browser.close());
  const here = { browser: () => browser };

  scenario("the page is as high as the window, however many notes there are", here, async (stage) => {
    const ada = await stage.person("Ada", { path: interviews.live });
    await ada.write("The last of them");
    const [page, window] = await ada.page.evaluate(() => [
      document.documentElement.scrollHeight,
      document.documentElement.clientHeight,
    ]);
    assert.equal(page, window);
  });

  scenario("the buttons of an editor are, when the last note is edited by the keyboard", here, async (stage) => {
    const ada = await stage.person("Ada", { path: interviews.live });
    await ada.write("The last of them");
    await ada.hasSettled("The last of them");
    await ada.note("The last of them").focus();
    await ada.page.keyboard.press("e");
    await ada.see("note-editor").waitFor();
    await eventually(
      () => depthInList(ada.page.getByRole("button", { name: "Save" })),
      (px) => px <= -FADE,
      "the editor's buttons are above the list's lower edge",
    );
  });

  scenario("what can be done about a refused note is, while a deletion can be undone", here, async (stage) => {
    const ada = await stage.person("Ada", { path: interviews.live });
    await ada.write("To be deleted");
    await ada.hasSettled("To be deleted");
    await ada.fillBeyond("composer-input", "x".repeat(20_001));
    await ada.see("composer-submit").click();
    await ada.see("refused").waitFor();
    await ada.remove("To be deleted");
    await ada.see("toast").waitFor();
    await eventually(
      () => Promise.all([ada.see("toast").boundingBox(), ada.see("refused").boundingBox()]),
      ([above, below]) => above !== null && below !== null && above.y >= 0 && above.y + above.height <= below.y,
      "the toast stands above the refused note",
    );
  });
});
