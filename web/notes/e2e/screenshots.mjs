// Takes the pictures of the README: `node e2e/screenshots.mjs`, with the binary built. Not a test.

import { mkdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { devices } from "playwright-core";
import { Server } from "../../../conformance/clients/harness/server.js";
import { launch } from "./lib/browser.mjs";
import { Person } from "./lib/person.mjs";
import { interviews } from "./lib/scenario.mjs";

const directory = fileURLToPath(new URL("../../../docs/images/", import.meta.url));
const { defaultBrowserType, ...phone } = devices["Pixel 7"];
const screens = {
  desktop: { viewport: { width: 1280, height: 800 }, deviceScaleFactor: 1.5 },
  phone: { ...phone, deviceScaleFactor: 2 },
};

/** A live interview with three people at it, one of whom writes. */
async function picture(browser, screen, colorScheme) {
  const server = await Server.start({ dev: true });
  const people = [];
  const arrive = async (name, context) => {
    const person = await Person.arrive(browser, server.url, name, { path: interviews.live, context });
    people.push(person);
    return person;
  };
  try {
    const ada = await arrive("Ada", { ...screens[screen], colorScheme });
    await arrive("Mara");
    const ben = await arrive("Ben");
    await ben.see("composer-input").fill("He reads the plate numbers from ");
    await ada.see("typing").waitFor();
    const path = join(directory, `notes-${screen}-${colorScheme}.png`);
    await ada.page.screenshot({ path });
    const { size } = await stat(path);
    console.log(`${path} ${Math.round(size / 1024)} KB`);
  } finally {
    await Promise.all(people.map((person) => person.context.close()));
    await server.stop();
  }
}

await mkdir(directory, { recursive: true });
const browser = await launch();
try {
  for (const screen of Object.keys(screens))
    for (const colorScheme of ["light", "dark"]) await picture(browser, screen, colorScheme);
} finally {
  await browser.close();
}
