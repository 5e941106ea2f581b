// The app by its keys alone, and the ways back from where somebody should not be.

import assert from "node:assert/strict";
import { after, before, describe } from "node:test";
import { launch } from "./lib/browser.mjs";
import { eventually } from "./lib/eventually.mjs";
import { scenario } from "./lib/scenario.mjs";

/** The element that has the focus, as `tag` or `tag text`. */
const focused = (person) =>
  person.page.evaluate(() => {
    const { tagName, textContent, value } = document.activeElement;
    return tagName === "BUTTON"
      ? `button ${textContent.trim()}`
      : tagName === "INPUT"
        ? `input ${value}`
        : tagName.toLowerCase();
  });

describe("keyboard", () => {
  let browser;
  before(async () => {
    browser = await launch();
  });
  after(() => browser.close());
  const here = { browser: () => browser };

  scenario("a note is edited, timed, deleted and brought back without losing the focus", here, async (stage) => {
    const ada = await stage.person("Ada");
    const { keyboard } = ada.page;
    await ada.write("By key");
    await ada.hasSettled("By key");
    await ada.note("By key").focus();
    await keyboard.press("e");
    await ada.see("note-editor").waitFor();
    const stops = [];
    for (let n = 0; n < 3; n++) {
      await keyboard.press("Tab");
      stops.push(await focused(ada));
    }
    assert.deepEqual(stops, ["input on", "button Cancel", "button Save"]);
    await ada.see("note-editor").fill("By key, changed");
    await keyboard.press("Tab");
    await keyboard.press("ArrowRight"); // a quote
    await keyboard.press("Tab");
    await keyboard.press("Tab");
    await keyboard.press("Enter");
    await ada.see("note-editor").waitFor({ state: "detached" });
    await ada.sees("By key, changed");
    assert.equal(await focused(ada), "article");
    assert.equal(await ada.note("By key, changed").getAttribute("data-kind"), "quote");

    await ada.moveTo("By key, changed", "12:34");
    assert.equal(await focused(ada), "article");
    await ada.hasSettled("By key, changed");
    await keyboard.press("Delete");
    await ada.seesNo("By key, changed");
    assert.equal(await focused(ada), "article");
    await keyboard.press("z");
    await ada.sees("By key, changed");
  });

  scenario("a dialog gives the focus back to what opened it", here, async (stage) => {
    const ada = await stage.person("Ada");
    const edit = ada.page.getByRole("button", { name: "Edit interview" });
    await edit.click();
    await ada.see("interview-title").waitFor();
    assert.match(await focused(ada), /^input ./);
    await ada.page.keyboard.press("Escape");
    await ada.see("interview-title").waitFor({ state: "detached" });
    assert.ok(await edit.evaluate((button) => button === document.activeElement));
  });

  scenario("an address that cannot be is not found, and the app stands around it", here, async (stage) => {
    const ada = await stage.person("Ada", { path: "/p/a%00b" });
    await ada.see("not-found").waitFor();
    await ada.see("project-link").waitFor();
    await eventually(
      () => ada.page.title(),
      (title) => title.startsWith("Not found"),
      "the tab says so",
    );
  });
});
