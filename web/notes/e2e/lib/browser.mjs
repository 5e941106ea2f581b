import { spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const PATHS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** The Chromium to test with: CHROMIUM, else the distribution's. */
function executable() {
  if (process.env.CHROMIUM) return process.env.CHROMIUM;
  const found = PATHS.find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
  if (!found)
    throw new Error("there is no Chromium: install it (apt-get install chromium), or set CHROMIUM to the path of one");
  return found;
}

/** It minds its own business: no updates, no sync, no sandbox that a container would refuse. */
const ARGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/**
 * Starts a headless Chromium, and another one when it dies before it is there, as one of hundreds did by a segmentation fault in its first tenth of a second.
 * That hides nothing that a page does to it: there is none yet.
 */
export async function launch() {
  const start = () => chromium.launch({ executablePath: executable(), args: ARGS });
  try {
    return await start();
  } catch (error) {
    console.error(`Chromium did not start, and is started again: ${String(error).split("\n")[0]}`);
    return await start();
  }
}

/**
 * Starts a headless Chromium in which a tab behind another one is hidden, and slowed down to a timer a second. Playwright has each page of its own think
 * that it is looked at; those of a browser that it did not start, in the context that was there before, it leaves alone.
 *
 * @returns {Promise<{newContext: () => Promise<import("playwright-core").BrowserContext>, close: () => Promise<void>}>} a browser for one person
 */
export async function launchWithHiddenTabs() {
  const profile = await mkdtemp(join(tmpdir(), "chorale-chromium-"));
  const program = spawn(
    executable(),
    [...ARGS, "--headless", "--remote-debugging-port=0", `--user-data-dir=${profile}`, "--window-size=1180,820"],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  const exited = once(program, "exit");
  const browser = await chromium.connectOverCDP(await endpointOf(program), { noDefaults: true });
  return {
    newContext: async () => browser.contexts()[0],
    close: async () => {
      program.kill();
      await exited;
      await rm(profile, { recursive: true, force: true, maxRetries: 5 }); // its children may be at it still
    },
  };
}

/** Where a Chromium that was started can be spoken to, as it says itself. */
async function endpointOf({ stderr }) {
  for await (const line of createInterface({ input: stderr })) {
    const [, endpoint] = /^DevTools listening on (ws:.+)$/.exec(line) ?? [];
    if (endpoint) return endpoint;
  }
  throw new Error("Chromium ended before it could be spoken to");
}
