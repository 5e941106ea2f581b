// @vitest-environment node
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "tsdown";
import { expect, test } from "vitest";

/** The package as it is published, but for types, and minified as an app's bundler would. */
async function bundled(): Promise<string> {
  const cwd = fileURLToPath(new URL("..", import.meta.url));
  const [bundle] = await build({ cwd, dts: false, write: false, clean: false, minify: true, logLevel: "silent" });
  const [chunk, ...others] = bundle?.chunks ?? [];
  if (chunk?.type !== "chunk" || others.length > 0) throw new Error("expected one chunk");
  return chunk.code;
}

test("the package is a client boundary of at most 3.5 KB, and brings neither React nor the client along", async () => {
  const code = await bundled();
  expect(code).toMatch(/^"use client";/);
  const imported = [...code.matchAll(/\bfrom\s*"([^"]+)"/g)].map(([, name]) => name);
  expect(imported.sort()).toEqual(["@chorale/client", "@chorale/client/notes", "react", "react/jsx-runtime"]);
  expect(gzipSync(code, { level: 9 }).length).toBeLessThanOrEqual(3_500);
});
