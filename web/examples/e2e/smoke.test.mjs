// The examples as somebody would try them: built, behind a development server's proxy, in two windows.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { build, preview } from "vite";
import { Server } from "../../../conformance/clients/harness/server.js";
import { launch } from "../../notes/e2e/lib/browser.mjs";

/** Builds an example, serves it in front of a server of its own, and opens it twice. */
async function play(browser, name, act) {
  const root = fileURLToPath(new URL(`../${name}`, import.meta.url));
  const server = await Server.start({ dev: true, rules: await readFile(`${root}/rules.yaml`, "utf8") });
  process.env.CHORALE_URL = server.url; // the example's own configuration reads it
  await build({ root, logLevel: "error" });
  const site = await preview({ root, logLevel: "error", preview: { port: 0, host: "127.0.0.1" } });
  const contexts = await Promise.all([browser.newContext(), browser.newContext()]);
  const problems = [];
  try {
    const pages = await Promise.all(contexts.map((context) => context.newPage()));
    for (const page of pages) {
      page.setDefaultTimeout(15_000);
      page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
      page.on("pageerror", (error) => problems.push(error.message));
      await page.goto(site.resolvedUrls.local[0]);
      await page.getByRole("status").getByText("Live").waitFor();
    }
    await act(pages);
    assert.deepEqual(problems, []);
  } finally {
    await Promise.all(contexts.map((context) => context.close()));
    await site.close();
    await server.stop();
  }
}

describe("examples", () => {
  let browser;
  before(async () => {
    browser = await launch();
  });
  after(() => browser.close());

  it("plain TypeScript: what one writes and marks, the other sees", { timeout: 90_000 }, () =>
    play(browser, "plain", async ([one, other]) => {
      await one.getByLabel("What to buy").fill("Beans");
      await one.getByRole("button", { name: "Add" }).click();
      await other.getByText("Beans").waitFor();
      await other.getByRole("button", { name: "Bought" }).click();
      await one.locator("li.bought", { hasText: "Beans" }).waitFor();
      await one.getByRole("button", { name: "Remove" }).click();
      await other.getByText("Beans").waitFor({ state: "detached" });
    }),
  );

  it("React: a card goes from column to column for both", { timeout: 90_000 }, () =>
    play(browser, "react", async ([one, other]) => {
      await one.getByLabel("New card").fill("Water the beans");
      await one.getByRole("button", { name: "Add" }).click();
      await other.getByRole("region", { name: "To do" }).getByText("Water the beans").waitFor();
      await other.getByRole("button", { name: "Doing →" }).click();
      await one.getByRole("region", { name: "Doing" }).getByText("Water the beans").waitFor();
    }),
  );
});
