// Writes that the server does not take: the page goes back to the truth, keeps the text and says why.

import assert from "node:assert/strict";
import { after, before, describe } from "node:test";
import { launch } from "./lib/browser.mjs";
import { seeTheSame } from "./lib/person.mjs";
import { scenario } from "./lib/scenario.mjs";

/** The schema's bound, and one more. */
const TOO_LONG = "x".repeat(20_001);

describe("refused writes", () => {
  let browser;
  before(async () => {
    browser = await launch();
  });
  after(() => browser.close());
  const here = { browser: () => browser };

  scenario("[M5] a note that breaks the schema is not in the timeline; its text and the reason are", here, async (stage) => {
    const [ada, ben] = [await stage.person("Ada"), await stage.person("Ben")];
    await ada.fillBeyond("composer-input", TOO_LONG);
    await ada.see("composer-submit").click();
    await ada.see("refused").waitFor();
    assert.equal(await ada.see("refused-text").textContent(), TOO_LONG);
    assert.match(await ada.see("refused-reason").textContent(), /content/);
    await ada.write("A short one");
    await ben.sees("A short one"); // the order is one: the long one would have been here before
    await seeTheSame(ada, ben, (notes) => !notes.has(TOO_LONG));
    await ada.see("refused-dismiss").click();
    await ada.see("refused").waitFor({ state: "detached" });
  });

  scenario("[M5] [R6] an edit that breaks the schema goes back to the old text and keeps the new", here, async (stage) => {
    const [ada, ben] = [await stage.person("Ada"), await stage.person("Ben")];
    await ada.write("As it was");
    await ada.hasSettled("As it was");
    await ada.rewrite("As it was", "");
    await ada.fillBeyond("note-editor", TOO_LONG);
    await ada.save();
    await ada.see("refused").waitFor();
    await ada.sees("As it was");
    assert.equal(await ada.see("refused-text").textContent(), TOO_LONG);
    await seeTheSame(ada, ben, (notes) => notes.has("As it was"));
  });

  scenario("[M5] a note that a rule protects comes back, and the page says who may delete it", here, async (stage) => {
    const [ada, ben] = [await stage.person("Ada"), await stage.person("Ben")];
    await ada.write("Mine to throw away");
    await ben.sees("Mine to throw away");
    await ben.remove("Mine to throw away");
    await ben.see("refused").waitFor();
    await ben.sees("Mine to throw away");
    assert.match(await ben.see("refused-reason").textContent(), /write this record/);
    await ben.see("refused-dismiss").click();
    await seeTheSame(ada, ben, (notes) => notes.has("Mine to throw away"));
    assert.equal(await ada.see("refused").count(), 0);
  });

  scenario(
    "[R6] a note that is refused after its page was left is told of, and waits there with its text",
    here,
    async (stage) => {
      const { person: ada, wire } = await stage.personOnWire("Ada");
      wire.holdAnswers();
      await ada.fillBeyond("composer-input", TOO_LONG);
      await ada.see("composer-submit").click();
      await ada.page.locator('[data-testid="note"][data-pending="true"]').waitFor();
      const path = new URL(ada.page.url()).pathname;
      await ada.page.getByRole("link", { name: "Interview notes" }).click();
      await ada.see("composer-input").waitFor({ state: "detached" });
      wire.letGo();
      await ada.page.locator('[data-testid="toast"]', { hasText: "could not be saved" }).waitFor();
      await ada.see("toast-copy").waitFor();
      for (const href of [path.replace(/\/i\/.*/, ""), path]) await ada.page.locator(`a[href="${href}"]`).first().click();
      assert.equal(await ada.see("refused-text").textContent(), TOO_LONG);
      await ada.see("refused-dismiss").click();
      await ada.see("refused").waitFor({ state: "detached" });
    },
  );
});
