import { readdirSync, readFileSync } from "node:fs";
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
    .filter((path) => !["env.ts", "types.ts", "offline/device.ts"].includes(path))
    .flatMap((path) => code(path).split("\n"))
    .filter((line) => outside.test(line.replace(SEAM, "")));
  expect(offenders.map((line) => line.trim())).toEqual([]);
});

it("every public name is listed by hand", () => {
  expect(sources.filter((path) => /export (\*|default)/.test(read(`src/${path}`)))).toEqual([]);
});

it("client and notes are at most 19 KB, minified and compressed as a browser gets them", async () => {
  const entry = { index: "src/index.ts", notes: "src/notes.ts" };
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
  // What is loaded only when it is needed does not count: everything else does, whichever chunk it is in.
  const code = (bundle?.chunks ?? [])
    .map((chunk) => (chunk.type === "chunk" && !chunk.isDynamicEntry ? chunk.code : ""))
    .join("");
  expect(code).toContain("phx_join");
  expect(gzipSync(code, { level: 9 }).length).toBeLessThanOrEqual(19_000);
  const later = (bundle?.chunks ?? []).filter((chunk) => chunk.type === "chunk" && chunk.isDynamicEntry);
  expect(later.map((chunk) => chunk.fileName.replace(/-.*/, ""))).toEqual(["fallback"]);
});
