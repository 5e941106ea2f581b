import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { Server } from "../../../../conformance/clients/harness/server.js";
import { Person } from "./person.mjs";
import { Wire } from "./wire.mjs";

/** Interviews of the sample project that dev mode brings. */
export const interviews = {
  planned: "/p/01930a00-0000-7000-8000-000000000002/i/01930a00-0000-7000-8000-0000000000a4",
  live: "/p/01930a00-0000-7000-8000-000000000001/i/01930a00-0000-7000-8000-0000000000a3",
};

/**
 * What a scenario happens in: a server in dev mode with the sample project, and the people who come.
 */
class Stage {
  people = [];
  #wires = [];
  #browser;

  constructor(server, browser) {
    this.server = server;
    this.#browser = browser;
  }

  /** Somebody opens an interview, or another page of the app. */
  async person(name, { path = interviews.planned, url = this.server.url, context, browser = this.#browser } = {}) {
    const person = await Person.arrive(browser, url, name, { path, context });
    this.people.push(person);
    if (path.includes("/i/")) await person.see("note").waitFor(); // the sample has notes in each: the interview is loaded
    return person;
  }

  /** Somebody does so over a wire of their own. */
  async personOnWire(name, options = {}) {
    const wire = await Wire.to(this.server.url);
    this.#wires.push(wire);
    return { person: await this.person(name, { ...options, url: wire.url }), wire };
  }

  /** Pictures of what everybody sees, for whoever looks at a failure. */
  async photograph() {
    const directory = await mkdtemp(join(tmpdir(), "chorale-e2e-"));
    for (const { name, page } of this.people) {
      await page.screenshot({ path: join(directory, `${name}.png`) }).catch(() => {}); // a closed page has no picture
    }
    return directory;
  }

  async end() {
    await Promise.all(this.people.map((person) => person.context.close()));
    await Promise.all(this.#wires.map((wire) => wire.close()));
    await this.server.stop();
  }
}

/**
 * A test with a stage of its own. It fails also for anything that went wrong in a page's console; when it fails, there are pictures.
 *
 * @param {string} name
 * @param {{browser: () => import("playwright-core").Browser, lostNetwork?: boolean, timeoutMs?: number}} options `lostNetwork`: the scenario takes the
 *   network away, which browsers complain about; `timeoutMs`: a bound for failures
 * @param {(stage: Stage, t: import("node:test").TestContext) => Promise<void>} play
 */
export function scenario(name, { browser, lostNetwork = false, timeoutMs = 90_000 }, play) {
  it(name, { timeout: timeoutMs }, async (t) => {
    const stage = new Stage(await Server.start({ dev: true }), browser());
    try {
      await play(stage, t);
      for (const person of stage.people) person.assertNoProblems({ lostNetwork });
    } catch (error) {
      t.diagnostic(`pictures: ${await stage.photograph()}`);
      for (const { name, problems } of stage.people) for (const problem of problems) t.diagnostic(`${name}: ${problem}`);
      throw error;
    } finally {
      await stage.end();
    }
  });
}
