// Undo among two people: mine goes back, theirs stays.

import assert from "node:assert/strict";
import { after, before, describe } from "node:test";
import { launch } from "./lib/browser.mjs";
import { seeTheSame } from "./lib/person.mjs";
import { scenario } from "./lib/scenario.mjs";

describe("undo", () => {
  let browser;
  before(async () => {
    browser = await launch();
  });
  after(() => browser.close());
  const here = { browser: () => browser };
  const says = (person, text) => person.page.getByTestId("toast").getByText(text).waitFor();

  scenario("[U1] [U2] what Ada did goes back for both, and what Ben has changed since stays", here, async (stage) => {
    const [ada, ben] = [await stage.person("Ada"), await stage.person("Ben")];
    await ada.write("Scans twice, to be sure");
    await ben.sees("Scans twice, to be sure");
    await ada.rewrite("Scans twice, to be sure", "Scans three times");
    await ada.save();
    await ada.hasSettled("Scans three times");
    await ada.moveTo("Scans three times", "12:34");
    await seeTheSame(ada, ben, (notes) => notes.get("Scans three times")?.time === "12:34");

    await ben.rewrite("Scans three times", "Scans until it beeps");
    await ben.save();
    await ada.sees("Scans until it beeps");
    await ada.see("undo").click();
    await says(ada, "Change undone");
    await seeTheSame(
      ada,
      ben,
      (notes) => notes.has("Scans until it beeps") && notes.get("Scans until it beeps").time !== "12:34",
    );
    await ada.see("undo").click();
    await says(ada, "Somebody else has changed that since, and theirs stays");
    await ada.see("undo").click();
    await says(ada, "Somebody else has changed that since, and theirs stays"); // nor goes the note that Ben has written in
    await seeTheSame(ada, ben, (notes) => notes.has("Scans until it beeps"));

    await ada.see("redo").click();
    await says(ada, "Change made again");
    await seeTheSame(ada, ben, (notes) => notes.get("Scans until it beeps")?.time === "12:34");
    for (const person of [ada, ben])
      assert.equal(await person.see("conflict").count(), 0, `${person.name} is told of a conflict`);
  });

  scenario("[U1] a deletion and a tag go back and forth by the keyboard", here, async (stage) => {
    const [ada, ben] = [await stage.person("Ada"), await stage.person("Ben")];
    await ada.write("Keeps a paper list");
    await ada.tag("Keeps a paper list", "paper");
    await ada.remove("Keeps a paper list");
    await ben.seesNo("Keeps a paper list");
    const press = (keys) => ada.page.keyboard.press(keys);
    await press("Control+z");
    await says(ada, "Note is back");
    await seeTheSame(ada, ben, (notes) => notes.get("Keeps a paper list")?.tags.join() === "paper");
    await ada.page.locator("body").click({ position: { x: 5, y: 5 } });
    await press("Control+z");
    await seeTheSame(ada, ben, (notes) => notes.get("Keeps a paper list")?.tags.join() === "");
    await press("Control+Shift+z");
    await seeTheSame(ada, ben, (notes) => notes.get("Keeps a paper list")?.tags.join() === "paper");
  });

  scenario("a field keeps the keys for what is typed in it, and gives them back when that was sent", here, async (stage) => {
    const [ada, ben] = [await stage.person("Ada"), await stage.person("Ben")];
    await ada.write("Sent");
    await ben.sees("Sent");
    const composer = ada.see("composer-input");
    await composer.pressSequentially("typed");
    await ada.page.keyboard.press("Control+z");
    assert.notEqual(await composer.inputValue(), "typed", "the browser has taken back what was typed");
    await ada.sees("Sent");

    await composer.fill("Sent as well");
    await composer.press("Enter");
    await ben.sees("Sent as well");
    await composer.press("Control+z");
    await ben.seesNo("Sent as well");
    await ben.sees("Sent");
  });

  scenario(
    "[U6] offline undo is shown at once, and takes effect when the network is back",
    { ...here, lostNetwork: true },
    async (stage) => {
      const { person: ada, wire } = await stage.personOnWire("Ada");
      const ben = await stage.person("Ben");
      await ada.write("Before");
      await ben.sees("Before");
      wire.cut();
      await ada.isDisconnected();
      await ada.rewrite("Before", "After");
      await ada.save();
      await ada.see("undo").click();
      await ada.sees("Before");
      await ada.see("redo").click();
      await ada.sees("After");
      wire.mend();
      await ben.sees("After");
      await ada.hasSettled("After");
      await ada.see("undo").click();
      await ben.sees("Before");
      await seeTheSame(ada, ben);
    },
  );
});
