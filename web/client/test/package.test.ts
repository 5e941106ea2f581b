import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "tsdown";
import { expect, it } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const read = (path: string) => readFileSync(`${root}${path}`, "utf8");
const sources = readdirSync(`${root}src`, { recursive: true, encoding: "utf8" }).filter((path) => path.endsWith(".ts"));

/** Where a platform is used, passed on or made: `platform.reportError`, `reportError:`, a method's head. */
const SEAM = /[\w.]+\.reportError|reportError:|^ *\w+\(.*\): (unknown|void)( \{|;)$/g;

it("the package has no side effects; of others it uses a type, and what keeps records on the device has a dependency", () => {
  const manifest: Record<string, unknown> = JSON.parse(read("package.json"));
  expect([manifest.dependencies, manifest.peerDependencies, manifest.sideEffects]).toEqual([
    { idb: "8.0.4" },
    undefined,
    false,
  ]);
  const importsOf = (path: string) => [...read(`src/${path}`).matchAll(/\bfrom "([^"]+)"/g)].map(([, name]) => name ?? "");
  const foreign = sources.flatMap((path) =>
    importsOf(path)
      .filter((name) => !name.startsWith("."))
      .map((name) => [path.split("/")[0], name].join(": ")),
  );
  expect([...new Set(foreign)].sort()).toEqual(["offline: idb", "schema.ts: @standard-schema/spec"]);
  expect(read("src/schema.ts")).toContain('import type { StandardSchemaV1 } from "@standard-schema/spec"');
  const users = sources.filter((path) => importsOf(path).some((name) => name.includes("/offline/")));
  expect(users.filter((path) => !path.startsWith("testing/"))).toEqual([]); // nor does anything of the base lead there
});

it("nothing but env.ts reads a clock, draws a random number, sets a timer, opens a socket or looks at the page", () => {
  const outside =
    /\b(Date\.now|new Date|performance|Math\.random|crypto|new WebSocket|navigator|document|window|globalThis|localStorage|console|reportError)\b(?!:)|(?<![.\w])(set|clear)(Timeout|Interval)\(/;
  const code = (path: string) => read(`src/${path}`).replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, "");
  const offenders = sources
    .filter((path) => !["env.ts", "types.ts", "device.ts"].includes(path))
    .flatMap((path) => code(path).split("\n"))
    .filter((line) => outside.test(line.replace(SEAM, "")));
  expect(offenders.map((line) => line.trim())).toEqual([]);
});

it("every public name is listed by hand", () => {
  expect(sources.filter((path) => /export (\*|default)/.test(read(`src/${path}`)))).toEqual([]);
});

/** What a browser gets of an app that does this: minified and compressed, in bytes. What is loaded only when it is needed comes apart. */
async function sizeOf(program: string): Promise<{ bytes: number; code: string; later: string[] }> {
  const directory = mkdtempSync(join(tmpdir(), "chorale-size-"));
  const entry = join(directory, "app.ts");
  writeFileSync(entry, program);
  const [bundle] = await build({
    cwd: root,
    config: false,
    entry,
    platform: "neutral",
    target: "es2022",
    dts: false,
    write: false,
    clean: false,
    minify: true,
    logLevel: "silent",
  });
  rmSync(directory, { recursive: true });
  const chunks = (bundle?.chunks ?? []).flatMap((chunk) => (chunk.type === "chunk" ? [chunk] : []));
  const code = chunks.map((chunk) => (chunk.isDynamicEntry ? "" : chunk.code)).join("");
  const later = chunks.filter((chunk) => chunk.isDynamicEntry).map((chunk) => chunk.fileName.replace(/-.*/, ""));
  return { bytes: gzipSync(code, { level: 9 }).length, code, later };
}

const index = JSON.stringify(`${root}src/index.ts`);
const notes = JSON.stringify(`${root}src/notes.ts`);

const tabs = JSON.stringify(`${root}src/tabs/index.ts`);

const names = (makes: string) => `export { BaseMessageHandler, ChoraleError, ${makes}, messageFactory } from ${index};`;

it("the base, which is connection, channels, messages, handlers and presence, is at most 13 KB", async () => {
  const { bytes, code, later } = await sizeOf(names("createMessageClient"));
  expect(code).toContain("phx_join");
  expect(code).not.toContain("record_too_large"); // collections are what comes on top
  expect(bytes).toBeLessThanOrEqual(13_000);
  expect(later).toEqual(["fallback"]);
}, 60_000);

it("with collections it is at most 18.6 KB, and with those of the notes app 19.5", async () => {
  const { bytes, code, later } = await sizeOf(names("createRealtimeClient"));
  expect(code).toContain("record_too_large");
  expect(bytes).toBeLessThanOrEqual(18_600);
  expect(later).toEqual(["fallback"]);
  const both = await sizeOf(`${names("createRealtimeClient")} export * from ${notes};`);
  expect(both.bytes).toBeLessThanOrEqual(19_500);
}, 60_000);

it("tabs that share a socket cost at most 2.7 KB more, and who does not share them nothing", async () => {
  const alone = await sizeOf(names("createRealtimeClient"));
  const both = await sizeOf(`${names("createRealtimeClient")} export * from ${tabs};`);
  expect(alone.code).not.toContain("/lanes?");
  expect(both.code).toContain("/lanes?");
  expect(both.bytes - alone.bytes).toBeLessThanOrEqual(2_700);
}, 60_000);
