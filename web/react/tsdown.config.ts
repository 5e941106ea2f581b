import { defineConfig } from "tsdown";

export default defineConfig({
  entry: {
    devtools: "src/devtools/index.tsx",
    index: "src/index.ts",
    suspense: "src/use-suspense.ts",
    undo: "src/use-undo.ts",
  },
  format: "esm",
  platform: "neutral",
  target: "es2022",
  outExtensions: () => ({ js: ".mjs", dts: ".d.mts" }),
  dts: true,
  // Server components import the package as a client boundary.
  outputOptions: { banner: (chunk) => (chunk.fileName.endsWith(".mjs") ? '"use client";' : "") },
});
