import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "tsdown";
import { afterAll, beforeAll, expect, it } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const published = mkdtempSync(join(tmpdir(), "chorale-client-"));

/** The package as it is published, beside apps that import some of it. */
beforeAll(async () => {
  await build({ cwd: root, outDir: join(published, "dist"), dts: false, logLevel: "silent" });
  copyFileSync(`${root}package.json`, join(published, "package.json"));
}, 60_000);
afterAll(() => rmSync(published, { recursive: true }));

/** What an app's bundler keeps of the package for this program. */
async function kept(program: string): Promise<string> {
  return (await bundled(program)).map(({ code }) => code).join("");
}

async function bundled(program: string) {
  const entry = join(published, "app.mjs");
  writeFileSync(entry, program);
  const [bundle] = await build({
    cwd: published,
    config: false,
    entry,
    platform: "neutral",
    dts: false,
    write: false,
    clean: false,
    minify: true,
    logLevel: "silent",
  });
  return (bundle?.chunks ?? []).filter((chunk) => chunk.type === "chunk");
}

it("importing one name does not bring the rest", async () => {
  expect(
    (
      await kept(
        'import "./dist/index.mjs"; import "./dist/notes.mjs"; import "./dist/schema.mjs"; import "./dist/devtools.mjs"; import "./dist/undo.mjs"; import "./dist/history.mjs"; import "./dist/tabs.mjs";',
      )
    ).trim(),
  ).toBe("");
  for (const [program, bytes] of [
    ['export { ChoraleError } from "./dist/index.mjs";', 600],
    ['export { messageFactory } from "./dist/index.mjs";', 1_500],
    ['export { BaseMessageHandler } from "./dist/index.mjs";', 1_500],
    ['export { InterviewNoteHandler } from "./dist/notes.mjs";', 2_500],
    ['export { openProject } from "./dist/notes.mjs";', 3_000],
    ['export { createUndo } from "./dist/undo.mjs";', 12_500], // nearly all its own, see below
  ] as const) {
    const code = await kept(program);
    expect(code).not.toContain("phx_join");
    expect(code.length, program).toBeLessThanOrEqual(bytes);
  }
  // It grows with what it knows of other people's writes; what it has in common with the client does not.
  const [undo] = await bundled('export { createUndo } from "./dist/undo.mjs";');
  const shared = Object.entries(undo?.modules ?? {}).filter(([id]) => !/\/(undo|app)\.mjs$/.test(id));
  expect(shared.length).toBeGreaterThan(0);
  expect(shared.reduce((sum, [, { renderedLength }]) => sum + renderedLength, 0)).toBeLessThanOrEqual(2_100);
  expect(await kept('export { createMessageClient } from "./dist/index.mjs";')).not.toContain("record_too_large");
  expect(await kept('export { createRealtimeClient } from "./dist/index.mjs";')).not.toContain("note:typing");
}, 60_000);
