// Tabs that are away for a minute, and come back.

import assert from "node:assert/strict";
import { after, before, describe } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { launch, launchWithHiddenTabs } from "./lib/browser.mjs";
import { eventually } from "./lib/eventually.mjs";
import { CompanyProxy } from "./lib/proxy.mjs";
import { scenario } from "./lib/scenario.mjs";
import { socketsOf } from "./lib/sockets.mjs";

/** How long: longer than between heartbeats, and than the server waits for one. */
const AWAY_MS = 63_000;
/** What the others write meanwhile. */
const TEXTS = Array.from({ length: 12 }, (_, i) => `Written while Ada was away ${i}`);

/** Counts how often the page's timers come, and waits for the moment in which it is looked at again. */
function keepDiary(texts) {
  const began = performance.now();
  let ticks = 0;
  const tick = () => {
    ticks++;
    setTimeout(tick, 500);
  };
  setTimeout(tick, 500);
  const isCurrent = () => {
    const shown = [...document.querySelectorAll('[data-testid="note-content"]')].map((note) => note.textContent);
    return texts.every((text) => shown.includes(text));
  };
  const back = new Promise((resolve) => {
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "hidden") return;
      const since = performance.now();
      const look = () => {
        if (isCurrent())
          resolve({ tookMs: Math.round(performance.now() - since), perSecond: (1_000 * ticks) / (since - began) });
        else setTimeout(look);
      };
      look();
    });
  });
  window.diary = { back };
}

/** Has Ada's tab be behind another one of hers for a minute, in which others write; returns what its diary says. */
async function beAway(ada, ben) {
  await ada.page.evaluate(keepDiary, TEXTS);
  const second = await ada.tab("Carl");
  await eventually(
    () => ada.page.evaluate(() => document.visibilityState),
    (state) => state === "hidden",
    "Ada's first tab is hidden",
  );
  for (const [i, text] of TEXTS.entries()) {
    await pause(AWAY_MS / TEXTS.length);
    const writer = i % 2 === 0 ? ben : second;
    await writer.write(text);
    await writer.hasSettled(text);
  }
  assert.equal(ada.page.workers().length, 1);
  await ada.page.bringToFront();
  return ada.page.evaluate(() => window.diary.back);
}

describe("away for a minute", { concurrency: true }, () => {
  let browser;
  before(async () => {
    browser = await launch();
  });
  after(() => browser.close());
  const patient = { browser: () => browser, timeoutMs: 150_000 };

  scenario(
    "[trap 22] the tab with the socket is behind another one: both keep it, and it is current when it is looked at",
    patient,
    async (stage, t) => {
      const hidden = await launchWithHiddenTabs();
      try {
        const [ada, ben] = [await stage.person("Ada", { browser: hidden }), await stage.person("Ben")];
        const open = socketsOf(ada);
        await ada.page.reload(); // so that its socket is seen
        await ada.isConnected();
        await ada.see("note").waitFor();
        const [socket] = open;
        const { tookMs, perSecond } = await beAway(ada, ben);
        t.diagnostic(
          `current ${tookMs} ms after it was looked at; a timer of 500 ms came ${perSecond.toFixed(1)} times a second`,
        );
        assert.ok(perSecond < 1.5, `a timer of half a second came ${perSecond} times a second: it was not slowed down`);
        assert.ok(tookMs <= 1_000, `it took ${tookMs} ms`);
        assert.deepEqual([...open], [socket], "there was one socket, the whole time, for both tabs");
        await ada.isConnected();
      } finally {
        await hidden.close();
      }
    },
  );

  scenario(
    "[trap 22] [C3] a tab whose timers come once a minute keeps its beat, where nothing else keeps the connection",
    { ...patient, lostNetwork: true },
    async (stage, t) => {
      const [hidden, proxy] = await Promise.all([launchWithHiddenTabs(), CompanyProxy.to(stage.server.url)]);
      try {
        // As in a browser that spares nobody: Chromium does so after minutes, and not to pages with a database or a channel to others.
        const context = await hidden.newContext();
        await context.addInitScript(() => {
          const own = window.setTimeout;
          const isLate = (ms) => ms > 1_000 && document.visibilityState === "hidden";
          window.setTimeout = (fn, ms) => own(fn, isLate(ms) ? Math.max(ms, 60_000) : ms);
        });
        const ada = await stage.person("Ada", { browser: hidden, url: proxy.url });
        const ben = await stage.person("Ben");
        const said = [];
        ada.page.on("request", (request) => {
          if (request.url().includes("/socket/sse")) said.push(request.postData() ?? "a stream");
        });
        const { tookMs } = await beAway(ada, ben);
        const beats = said.filter((text) => text.includes("heartbeat")).length;
        t.diagnostic(`current ${tookMs} ms after it was looked at; ${beats} heartbeats`);
        assert.ok(beats >= 4, `${beats} heartbeats in ${AWAY_MS / 1_000} s`);
        assert.ok(tookMs <= 1_000, `it took ${tookMs} ms`);
        assert.ok(!said.includes("a stream"), "it had the same stream the whole time");
        await ada.isConnected();
      } finally {
        await Promise.all([hidden.close(), proxy.close()]);
      }
    },
  );

  scenario(
    "[trap 27] a tab that was frozen for a minute is current soon after waking",
    { ...patient, lostNetwork: true },
    async (stage, t) => {
      const [ada, ben] = [await stage.person("Ada"), await stage.person("Ben")];
      const devtools = await ada.context.newCDPSession(ada.page);
      await devtools.send("Page.setWebLifecycleState", { state: "frozen" });
      await ben.write("Written while Ada slept");
      await ben.hasSettled("Written while Ada slept");
      await pause(AWAY_MS);
      const woken = Date.now();
      await devtools.send("Page.setWebLifecycleState", { state: "active" });
      await ada.sees("Written while Ada slept");
      // A bound for what would be a reconnect, and no measurement: see the README of this directory.
      const took = Date.now() - woken;
      t.diagnostic(`current ${took} ms after waking`);
      assert.ok(took < 5_000, `it took ${took} ms`);
      await ada.isConnected();
    },
  );
});
