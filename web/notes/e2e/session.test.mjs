// Tokens that stop being good while somebody is there.

import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe } from "node:test";
import { launch } from "./lib/browser.mjs";
import { scenario } from "./lib/scenario.mjs";

describe("signing in", () => {
  let browser;
  before(async () => {
    browser = await launch();
  });
  after(() => browser.close());
  const lost = { browser: () => browser, lostNetwork: true };

  /** The server comes back with nothing of what it had, its secret included. */
  const beginAnew = async (server) => {
    await server.kill();
    await rm(join(server.directory, "data"), { recursive: true });
    await server.startAgain();
  };
  scenario("[C1] a server with a new secret signs a guest in again, as the same person", lost, async (stage) => {
    const ada = await stage.person("Ada");
    const sub = await ada.see("me").getAttribute("data-sub");
    await stage.server.kill();
    await ada.isDisconnected();
    await beginAnew(stage.server);
    await ada.isConnected();
    assert.equal(await ada.see("me").getAttribute("data-sub"), sub);
    await ada.write("Here again");
    await ada.hasSettled("Here again");
  });

  scenario("[C1] somebody with a pasted token is asked for another", lost, async (stage) => {
    const ada = await stage.person("Ada");
    await ada.page.evaluate(() => {
      const key = "chorale.session";
      sessionStorage.setItem(key, JSON.stringify({ ...JSON.parse(sessionStorage.getItem(key)), from: "token" }));
    });
    await ada.page.goto(ada.page.url().split("?")[0]);
    await ada.isConnected();
    await beginAnew(stage.server);
    await ada.page.locator('[data-testid="connection"][data-status="needs-auth"]').waitFor();
    await ada.page.getByRole("button", { name: "Sign in" }).click();
    await ada.page.getByRole("dialog", { name: "Sign in again" }).waitFor();
  });
});
