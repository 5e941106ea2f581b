import assert from "node:assert/strict";
import { eventually } from "./eventually.mjs";

/** How long a page may take to show what it must, in ms: a bound for failures, not a pause. */
const DEADLINE_MS = 15_000;

/** Chromium's own words for a connection that is not there. They cannot be avoided by a page whose server was killed. */
const ABOUT_THE_NETWORK = /net::ERR_|WebSocket connection to .* failed/;

const byTestId = (id) => `[data-testid="${id}"]`;

/**
 * A person in a browser of their own: a context, so neither storage nor connection is shared, with one page. The verbs are what
 * people do; each waits until the page has it.
 */
export class Person {
  /** What went wrong in the page: errors and warnings of its console, exceptions, answers of 400 and above. */
  problems = [];

  /** Use `Person.arrive`. */
  constructor(name, context, page) {
    this.name = name;
    this.context = context;
    this.page = page;
  }

  /**
   * Opens the app as somebody.
   *
   * @param {import("playwright-core").Browser} browser
   * @param {string} url of the server, or of a wire to it
   * @param {string} name
   * @param {{path?: string, context?: import("playwright-core").BrowserContextOptions}} [options]
   */
  static async arrive(browser, url, name, { path = "/", context: options = {} } = {}) {
    const context = await browser.newContext({
      viewport: { width: 1180, height: 820 },
      locale: "en-GB",
      timezoneId: "Europe/Oslo",
      reducedMotion: "reduce",
      ...options,
    });
    context.setDefaultTimeout(DEADLINE_MS);
    const person = new Person(name, context, await context.newPage());
    await person.#open(`${url}${path}`);
    return person;
  }

  /** Another tab of the same browser, at the same place. Who one is belongs to the tab; what goes wrong in either is theirs together. */
  async tab(name) {
    const other = new Person(name, this.context, await this.context.newPage());
    other.problems = this.problems;
    await other.#open(this.page.url().split("?")[0]);
    return other;
  }

  async #open(address) {
    const { page } = this;
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) this.problems.push(`${message.type()}: ${message.text()}`);
    });
    page.on("pageerror", (error) => this.problems.push(`exception: ${error.stack ?? error.message}`));
    page.on("response", (response) => {
      if (response.status() >= 400) this.problems.push(`${response.status()} for ${response.url()}`);
    });
    await page.goto(`${address}?as=${encodeURIComponent(this.name)}`);
    await this.isConnected();
  }

  /** Fails for anything that went wrong in the page, apart from a network that the test took away. */
  assertNoProblems({ lostNetwork = false } = {}) {
    const real = lostNetwork ? this.problems.filter((problem) => !ABOUT_THE_NETWORK.test(problem)) : this.problems;
    assert.deepEqual(real, [], `problems in ${this.name}'s page`);
  }

  /** The first element with a test id. */
  see(testId) {
    return this.page.locator(byTestId(testId)).first();
  }

  /** Waits until the connection indicator says so. */
  async isConnected() {
    await this.page
      .locator(`${byTestId("connection")}[data-status="connected"]`)
      .first()
      .waitFor();
  }

  async isDisconnected() {
    await this.page
      .locator(`${byTestId("connection")}:not([data-status="connected"])`)
      .first()
      .waitFor();
  }

  /** The note with this text, when there is exactly one. */
  note(text) {
    return this.page
      .locator(byTestId("note"))
      .filter({ has: this.page.locator(byTestId("note-content")).getByText(text, { exact: true }) });
  }

  /** Writes a new note. */
  async write(text) {
    await this.see("composer-input").fill(text);
    await this.see("composer-input").press("Enter");
    await this.note(text).waitFor();
  }

  /** Waits until a note is there and the server has acknowledged it. */
  async hasSettled(text) {
    await this.note(text).and(this.page.locator('[data-pending="false"]')).waitFor();
  }

  /** Waits until a note is there and the page says that the server has not acknowledged it. */
  async isPending(text) {
    await this.note(text).and(this.page.locator('[data-pending="true"]')).waitFor();
  }

  async sees(text) {
    await this.note(text).waitFor();
  }

  async seesNo(text) {
    await this.note(text).waitFor({ state: "detached" });
  }

  /** Opens a note's editor and puts another text into it, without saving. */
  async rewrite(text, replacement) {
    await this.note(text).locator(byTestId("note-edit")).click();
    await this.see("note-editor").fill(replacement);
  }

  /** Puts a text into a field that has a bound, as if it had none: the server's bound is another matter. */
  async fillBeyond(testId, text) {
    await this.see(testId).evaluate((field) => field.removeAttribute("maxlength"));
    await this.see(testId).fill(text);
  }

  async save() {
    await this.see("note-editor").press("Enter");
    await this.see("note-editor").waitFor({ state: "detached" });
  }

  /** Changes the place in the recording, e.g. to `12:34`. */
  async moveTo(text, time) {
    await this.note(text).locator(byTestId("note-time")).click();
    await this.see("note-time-edit").fill(time);
    await this.see("note-time-edit").press("Enter");
  }

  async tag(text, tag) {
    const field = this.note(text).locator(byTestId("tag-add"));
    await field.fill(tag);
    await field.press("Enter");
    await this.note(text).locator(`[data-tag="${tag}"]`).waitFor();
  }

  async remove(text) {
    await this.note(text).locator(byTestId("note-delete")).click();
  }

  /**
   * The notes as the page shows them, top to bottom.
   *
   * @returns {Promise<{id: string, text?: string, time?: string, kind: string, tags: string[], pending: boolean}[]>}
   */
  timeline() {
    return this.page.evaluate(() =>
      [...document.querySelectorAll('[data-testid="note"]')].map((note) => ({
        id: note.dataset.noteId,
        text: note.querySelector('[data-testid="note-content"]')?.textContent,
        time: note.querySelector('[data-testid="note-time"]')?.textContent,
        kind: note.dataset.kind,
        tags: [...note.querySelectorAll("[data-tag]")].map((tag) => tag.dataset.tag),
        pending: note.dataset.pending === "true",
      })),
    );
  }
}

/**
 * Waits until two people see the same notes, none of them pending, and what they see is what must come of it.
 *
 * @param {(notes: Map<string, {time: string, tags: string[]}>) => boolean} isAsExpected gets the notes by their text
 */
export async function seeTheSame(one, other, isAsExpected = () => true) {
  const [timeline] = await eventually(
    () => Promise.all([one.timeline(), other.timeline()]),
    ([a, b]) =>
      JSON.stringify(a) === JSON.stringify(b) &&
      a.every((note) => !note.pending) &&
      isAsExpected(new Map(a.map((note) => [note.text, note]))),
    `${one.name} and ${other.name} see the same`,
  );
  return timeline;
}
