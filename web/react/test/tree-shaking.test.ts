// @vitest-environment node
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "tsdown";
import { afterAll, beforeAll, expect, test } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const published = mkdtempSync(join(tmpdir(), "chorale-react-"));

/** The package as it is published, beside apps that import some of it. */
beforeAll(async () => {
  await build({ cwd: root, outDir: join(published, "dist"), dts: false, logLevel: "silent" });
  copyFileSync(`${root}package.json`, join(published, "package.json"));
}, 60_000);
afterAll(() => rmSync(published, { recursive: true }));

/** What an app's bundler keeps of the package for this program. */
async function kept(program: string): Promise<string> {
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
    logLevel: "silent",
    deps: { neverBundle: [/^react/, /^@chorale\/client/] },
  });
  return (bundle?.chunks ?? []).map((chunk) => (chunk.type === "chunk" ? chunk.code : "")).join("");
}

test("importing one hook does not bring those of the notes app, or the provider", async () => {
  const collection = await kept('export { useCollection } from "./dist/index.mjs";');
  expect(collection).toContain("useSyncExternalStore");
  for (const absent of ["openInterviewNotes", "openWorkspace", "interview:", "createRealtimeClient", "subscribeToProject"])
    expect(collection).not.toContain(absent);
  const connection = await kept('export { useConnection } from "./dist/index.mjs";');
  for (const absent of ["getChannel", "useMemo"]) expect(connection).not.toContain(absent);
}, 60_000);
