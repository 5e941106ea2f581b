import { defineConfig } from "tsdown";

export default defineConfig({
  entry: { index: "src/index.ts", notes: "src/notes.ts", testing: "src/testing/index.ts" },
  format: "esm",
  platform: "neutral",
  target: "es2022",
  outExtensions: () => ({ js: ".mjs", dts: ".d.mts" }),
  dts: true,
});
