// Two people at one interview, each in a browser of their own.

import assert from "node:assert/strict";
import { after, before, describe } from "node:test";
import { launch } from "./lib/browser.mjs";
import { seeTheSame } from "./lib/person.mjs";
import { interviews, scenario } from "./lib/scenario.mjs";

describe("two people", () => {
  let browser;
  before(async () => {
    browser = await launch();
  });
  after(() => browser.close());
  const here = { browser: () => browser };

  scenario("[R5] [R6] a note appears in the other's page, once, under its author's name", here, async (stage) => {
    const [ada, ben] = [await stage.person("Ada"), await stage.person("Ben")];
    await ada.write("The handover list is on paper");
    await ben.sees("The handover list is on paper");
    await ada.hasSettled("The handover list is on paper");
    await ben.note("The handover list is on paper").getByText("Ada", { exact: true }).waitFor();
    await ben.write("and nobody signs it");
    await ada.sees("and nobody signs it");
    await seeTheSame(ada, ben);
  });

  scenario("[M2] both edit different fields of one note at once, and both edits stand", here, async (stage) => {
    const { person: ada, wire: ofAda } = await stage.personOnWire("Ada");
    const { person: ben, wire: ofBen } = await stage.personOnWire("Ben");
    await ada.write("Radio first, tablet later");
    await Promise.all([ada.hasSettled("Radio first, tablet later"), ben.hasSettled("Radio first, tablet later")]);

    for (const wire of [ofAda, ofBen]) wire.hold(); // neither can know of the other's edit
    await ada.rewrite("Radio first, tablet later", "Radio first, tablet when it is calm");
    await ada.save();
    await ben.moveTo("Radio first, tablet later", "12:34");
    for (const wire of [ofAda, ofBen]) wire.letGo();

    await seeTheSame(ada, ben, (notes) => notes.get("Radio first, tablet when it is calm")?.time === "12:34");
    for (const person of [ada, ben])
      assert.equal(await person.see("conflict").count(), 0, `${person.name} is told of a conflict`);
  });

  scenario("[M2] both tag one note at once, and it has both tags", here, async (stage) => {
    const { person: ada, wire: ofAda } = await stage.personOnWire("Ada");
    const { person: ben, wire: ofBen } = await stage.personOnWire("Ben");
    await ada.write("Gloves off for the screen");
    await Promise.all([ada.hasSettled("Gloves off for the screen"), ben.hasSettled("Gloves off for the screen")]);

    for (const wire of [ofAda, ofBen]) wire.hold();
    await ada.tag("Gloves off for the screen", "cold");
    await ben.tag("Gloves off for the screen", "touch");
    for (const wire of [ofAda, ofBen]) wire.letGo();

    await seeTheSame(ada, ben, (notes) => notes.get("Gloves off for the screen")?.tags.join() === "cold,touch");
  });

  scenario("[R5] both edit one field at once: they end equal, the loser is told and can insist", here, async (stage) => {
    const { person: ada, wire: ofAda } = await stage.personOnWire("Ada");
    const { person: ben, wire: ofBen } = await stage.personOnWire("Ben");
    await ada.write("He counts");
    await Promise.all([ada.hasSettled("He counts"), ben.hasSettled("He counts")]);

    for (const wire of [ofAda, ofBen]) wire.hold();
    await ada.rewrite("He counts", "He counts by lashing points");
    await ada.save();
    await ben.rewrite("He counts", "He counts twice");
    await ben.save();
    for (const wire of [ofAda, ofBen]) wire.letGo();

    const both = ["He counts by lashing points", "He counts twice"];
    const timeline = await seeTheSame(ada, ben, (notes) => both.filter((text) => notes.has(text)).length === 1);
    const winning = both.find((text) => timeline.some((note) => note.text === text));
    const losing = both.find((text) => text !== winning);
    const [loser, winner] = winning === both[0] ? [ben, ada] : [ada, ben];
    await loser.see("conflict").waitFor();
    assert.equal(await loser.see("conflict-mine").textContent(), losing);
    assert.equal(await winner.see("conflict").count(), 0);

    await loser.see("conflict-keep-mine").click();
    await seeTheSame(ada, ben, (notes) => notes.has(losing) && !notes.has(winning));
    assert.equal(await loser.see("conflict").count(), 0);
  });

  scenario("a deleted note goes from both pages, and comes back to both when that is undone", here, async (stage) => {
    const [ada, ben] = [await stage.person("Ada"), await stage.person("Ben")];
    await ada.write("Said too early");
    await ben.sees("Said too early");
    await ada.remove("Said too early");
    await Promise.all([ada.seesNo("Said too early"), ben.seesNo("Said too early")]);
    await ada.see("note-undo").click();
    await Promise.all([ada.sees("Said too early"), ben.sees("Said too early")]);
    await seeTheSame(ada, ben);
  });

  scenario("[P3] faces come and go with the people, and who writes is seen writing", here, async (stage) => {
    const ada = await stage.person("Ada");
    const face = (name) => ada.page.locator(`[data-testid="presence-avatar"][data-name="${name}"]`);
    await face("Ada").waitFor();
    const ben = await stage.person("Ben");
    await face("Ben").waitFor();

    await ben.see("composer-input").pressSequentially("He looks at the");
    await ada.see("typing").getByText("Ben is writing").waitFor();
    await ben.see("composer-input").press("Enter");
    await ada.see("typing").waitFor({ state: "detached" });

    await ben.context.close();
    await face("Ben").waitFor({ state: "detached" });
    assert.equal(await face("Ada").count(), 1);
  });

  scenario("a reload shows what was there before", here, async (stage) => {
    const [ada, ben] = [
      await stage.person("Ada", { path: interviews.live }),
      await stage.person("Ben", { path: interviews.live }),
    ];
    await ada.write("Forty a week, by phone");
    await ada.hasSettled("Forty a week, by phone");
    await ada.tag("Forty a week, by phone", "volume");
    await ben.rewrite("Forty a week, by phone", "Forty a week, all by phone");
    await ben.save();
    const isWhole = (notes) => notes.get("Forty a week, all by phone")?.tags.join() === "volume";
    const before = await seeTheSame(ada, ben, isWhole);
    await Promise.all([ada.page.reload(), ben.page.reload()]);
    await Promise.all([ada.isConnected(), ben.isConnected()]);
    assert.deepEqual(await seeTheSame(ada, ben, isWhole), before);
  });
});
