// The history of a note: who changed it, what and when.

import assert from "node:assert/strict";
import { after, before, describe } from "node:test";
import { launch } from "./lib/browser.mjs";
import { seeTheSame } from "./lib/person.mjs";
import { scenario } from "./lib/scenario.mjs";

describe("history", () => {
  let browser;
  before(async () => {
    browser = await launch();
  });
  after(() => browser.close());
  const here = { browser: () => browser };
  const changes = (person) => person.page.getByTestId("history-change").locator("p:first-child").allInnerTexts();

  scenario("[A6] says who changed a note and what, newest first, and brings an earlier text back", here, async (stage) => {
    const [ada, ben] = [await stage.person("Ada"), await stage.person("Ben")];
    await ada.write("Asks the drivers first");
    await ben.sees("Asks the drivers first");
    await ben.rewrite("Asks the drivers first", "Asks nobody");
    await ben.save();
    await ada.sees("Asks nobody");
    await ada.tag("Asks nobody", "drivers");
    await ada.hasSettled("Asks nobody");

    await ada.note("Asks nobody").getByTestId("note-history").click();
    await ada.see("history-change").waitFor();
    assert.deepEqual(
      (await changes(ada)).map((text) => text.replace(/ now$| \d+ min$/, "")),
      ["Ada tagged it drivers", "Ben changed the text", "Ada wrote this note"],
    );
    assert.equal(await ada.see("history-ends").count(), 0, "it says that something is missing");
    assert.equal(await ada.page.getByTestId("history-use").count(), 1, "only the earlier text can be brought back");
    await ada.see("history-use").click();
    await seeTheSame(ada, ben, (notes) => notes.get("Asks the drivers first")?.tags.join() === "drivers");
    await ada.see("undo").click();
    await seeTheSame(ada, ben, (notes) => notes.has("Asks nobody"));
  });

  scenario(
    "without a network it says that it cannot be had, and tries again",
    { ...here, lostNetwork: true },
    async (stage) => {
      const { person: ada, wire } = await stage.personOnWire("Ada");
      await ada.write("Kept on paper");
      await ada.hasSettled("Kept on paper");
      wire.cut();
      await ada.isDisconnected();
      await ada.note("Kept on paper").focus();
      await ada.page.keyboard.press("h");
      await ada.see("history-failed").waitFor();
      wire.mend();
      await ada.see("history-failed").getByRole("button").click();
      await ada.see("history-change").waitFor();
      await ada.page.keyboard.press("Escape");
      await ada.see("history-change").waitFor({ state: "detached" });
      assert.equal(
        await ada.page.evaluate(() => document.activeElement?.dataset.testid),
        "note",
        "the focus is back on the note",
      );
    },
  );
});
