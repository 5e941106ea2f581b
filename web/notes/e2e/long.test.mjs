// An interview of 10,000 notes: it scrolls and is written in without a dropped frame over 50 ms.

import assert from "node:assert/strict";
import { after, before, describe } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { launch } from "./lib/browser.mjs";
import { eventually } from "./lib/eventually.mjs";
import { interviews, scenario } from "./lib/scenario.mjs";

const NOTES = 10_000;
const INTERVIEW = "01930a00-0000-7000-8000-0000000000a4";
/** What one task, and so one frame, may take of the page's main thread, in ms. */
const FRAME_MS = 50;
/** What `reference` takes of a processor that does nothing else, in ms. */
const REFERENCE_MS = 25;
/** How often something may be tried until no task of it is too long. */
const TRIES = 3;
/** How many rows may be in the page: those on the screen, and what is kept ready. */
const ROWS_MOST = 60;

/** Writes the notes as a backend does, a hundred at a time. */
async function fill(url) {
  const answer = await fetch(`${url}/dev/token`, { method: "POST", body: JSON.stringify({ name: "Importer" }) });
  const { token } = await answer.json();
  const client = "01930a00-0000-7000-8000-00000000ffff";
  for (let first = 0; first < NOTES; first += 100) {
    const mutations = Array.from({ length: 100 }, (_, i) => mutationOf(client, first + i + 1));
    await post(`${url}/api/v1/channels/interview:${INTERVIEW}/mutations`, token, JSON.stringify(mutations));
  }
}

/** What is sent again has its effect once (M1), so whoever is told to wait waits and sends it again. */
async function post(url, token, body) {
  for (;;) {
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    const response = await fetch(url, { method: "POST", headers, body });
    if (response.ok) return;
    const problem = await response.json();
    assert.equal(response.status, 429, JSON.stringify(problem));
    await pause(problem.retryAfterMs);
  }
}

const hex = (n, digits) => n.toString(16).padStart(digits, "0");

function mutationOf(client, n) {
  return {
    client,
    n,
    id: `01930a00-0000-7000-8000-${hex(n, 12)}`,
    at: `${hex(1_764_000_000_000 + n, 12)}0000`,
    op: "put",
    collection: "notes",
    record: `01930a00-0001-7000-8000-${hex(n, 12)}`,
    fields: {
      content: `Note ${n}: ${"what was said, at some length. ".repeat(1 + (n % 4))}`,
      timestampMs: 10_000_000 + n * 1_000,
      authorName: `Author ${n % 7}`,
      kind: ["note", "quote", "insight", "action"][n % 4],
    },
    sets: { tags: { [`tag-${n % 12}`]: true } },
  };
}

/**
 * The longest tasks of the page's main thread while `act` runs, in ms of the processor's time: a frame waits for the task before it.
 * What else runs on the machine does not count, as it would if frames were timed by the clock.
 */
async function tasksDuring(browser, page, act) {
  await browser.startTracing(page, { categories: ["toplevel", "__metadata"] });
  await act();
  const { traceEvents } = JSON.parse((await browser.stopTracing()).toString());
  const isMain = new Set(
    traceEvents
      .filter(({ name, args }) => name === "thread_name" && args.name === "CrRendererMain")
      .map(({ pid, tid }) => `${pid} ${tid}`),
  );
  return traceEvents
    .filter(({ ph, name, pid, tid }) => ph === "X" && /RunTask$/.test(name) && isMain.has(`${pid} ${tid}`))
    .map(({ tdur = 0 }) => tdur / 1_000)
    .sort((x, y) => y - x);
}

/**
 * How much slower this machine is than it is alone: processes beside this one take its caches, and the processor's time of a task grows
 * with that. At least 1.
 */
async function slowdown(page) {
  const session = await page.context().newCDPSession(page);
  await session.send("Performance.enable", { timeDomain: "threadTicks" });
  const spent = async () => {
    const { metrics } = await session.send("Performance.getMetrics");
    return 1_000 * metrics.find(({ name }) => name === "TaskDuration").value;
  };
  const times = [];
  for (let run = 0; run < 5; run++) {
    const before = await spent();
    await page.evaluate(reference);
    times.push((await spent()) - before);
  }
  await session.detach();
  return Math.max(1, times.sort((x, y) => x - y)[2] / REFERENCE_MS);
}

/** Some work of the kind that the app does: objects, a map, a sort. */
function reference() {
  const made = Array.from({ length: 30_000 }, (_, n) => ({ id: `note-${(n * 7_919) % 30_000}`, n }));
  const byId = new Map(made.map((each) => [each.id, each]));
  return [...byId.values()].sort((a, b) => (a.id < b.id ? -1 : 1)).length;
}

const nextFrame = (page) =>
  page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));

describe("a long interview", () => {
  let browser;
  before(async () => {
    browser = await launch();
  });
  after(() => browser.close());

  scenario(
    "10,000 notes scroll and are written in without a dropped frame",
    { browser: () => browser, timeoutMs: 240_000 },
    async (stage, t) => {
      await fill(stage.server.url);
      const ada = await stage.person("Ada", { path: interviews.planned });
      const { page } = ada;
      const list = page.getByTestId("timeline");
      const rows = () => page.getByTestId("note").count();
      await eventually(
        () => list.locator("li").first().getAttribute("aria-setsize"),
        (size) => Number(size) >= NOTES,
        "all notes are there",
      );
      assert.ok((await rows()) <= ROWS_MOST, `${await rows()} rows are in the page`);

      const scroller = list.locator("xpath=../..");
      const box = await scroller.boundingBox();
      await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
      await holds("scrolling by the wheel", async () => {
        for (let step = 0; step < 30; step++) {
          await page.mouse.wheel(0, 400);
          await nextFrame(page);
        }
      });
      await holds("jumping", async () => {
        for (const part of [0.5, 1, 0.2, 0.9]) {
          await scroller.evaluate((element, to) => {
            element.scrollTop = element.scrollHeight * to;
          }, part);
          await nextFrame(page);
        }
      });
      await holds("opening an editor, typing, and saving until the server has it", async () => {
        const note = page.getByTestId("note").nth(8);
        const id = await note.getAttribute("data-note-id");
        await note.getByTestId("note-edit").click();
        await ada.see("note-editor").waitFor();
        await page.keyboard.type("edited at last", { delay: 30 });
        await page.keyboard.press("Enter");
        await page.locator(`[data-note-id="${id}"][data-pending="false"]`).waitFor();
        await nextFrame(page);
      });
      const ben = await stage.person("Ben", { path: interviews.planned });
      await holds("hearing of others' notes", async () => {
        const size = Number(await list.locator("li").first().getAttribute("aria-setsize"));
        await ben.see("composer-input").fill("From Ben");
        await ben.see("composer-input").press("Enter");
        // A selector that the browser answers by itself: a search for text would be the longest task of all.
        await page
          .locator(`li[aria-setsize="${size + 1}"]`)
          .first()
          .waitFor({ state: "attached" });
      });

      /** What is too long each time is the app's; what is so once may be the machine's. */
      async function holds(what, act) {
        const tries = [];
        while (tries.length < TRIES && !tries.some(({ longest, most }) => longest <= most)) tries.push(await watch(what, act));
        const told = tries.map(({ longest, most }) => `${longest.toFixed(1)} of ${most.toFixed(0)} ms`);
        assert.ok(tries.at(-1).longest <= tries.at(-1).most, `${what}: the longest task took ${told.join(", then ")}`);
      }

      async function watch(what, act) {
        const slower = (await slowdown(page)) / 2;
        const tasks = await tasksDuring(browser, page, act);
        const most = FRAME_MS * Math.max(1, slower + (await slowdown(page)) / 2);
        assert.ok(tasks.length > 0, "the trace has the main thread's tasks");
        const longest = tasks.slice(0, 3).map((ms) => ms.toFixed(1));
        t.diagnostic(
          `${what}: ${tasks.length} tasks, the longest ${longest.join(", ")} ms; at most ${most.toFixed(0)} ms here and now`,
        );
        return { longest: tasks[0], most };
      }
    },
  );
});
