import { accessSync, constants } from "node:fs";
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

/** Starts a headless Chromium that minds its own business: no updates, no sync, no sandbox that a container would refuse. */
export function launch() {
  return chromium.launch({
    executablePath: executable(),
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}
