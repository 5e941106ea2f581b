// @vitest-environment node
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "tsdown";
import { expect, test } from "vitest";

const cwd = fileURLToPath(new URL("..", import.meta.url));
const quiet = { cwd, dts: false, write: false, clean: false, logLevel: "silent" } as const;

async function chunks(options: Parameters<typeof build>[0]): Promise<string[]> {
  const [bundle] = await build({ ...quiet, ...options });
  return (bundle?.chunks ?? []).map((chunk) => (chunk.type === "chunk" ? chunk.code : ""));
}

test("each file of the package is a client boundary", async () => {
  const files = await chunks({});
  expect(files.length).toBeGreaterThan(1);
  for (const code of files) expect(code).toMatch(/^"use client";/);
});

test("the hooks are at most 3.5 KB as an app's bundler gets them, and bring neither React nor the client along", async () => {
  const [code = "", ...others] = await chunks({
    config: false,
    entry: "src/index.ts",
    platform: "neutral",
    target: "es2022",
    minify: true,
  });
  expect(others).toEqual([]);
  const imported = [...code.matchAll(/\bfrom\s*"([^"]+)"/g)].map(([, name]) => name);
  expect(imported.sort()).toEqual(["@chorale/client", "@chorale/client/notes", "react", "react/jsx-runtime"]);
  expect(gzipSync(code, { level: 9 }).length).toBeLessThanOrEqual(3_500);
});
