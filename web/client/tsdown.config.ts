import { defineConfig } from "tsdown";

export default defineConfig({
  entry: {
    index: "src/index.ts",
    devtools: "src/devtools/index.ts",
    history: "src/history.ts",
    notes: "src/notes.ts",
    offline: "src/offline/index.ts",
    schema: "src/schema.ts",
    tabs: "src/tabs/index.ts",
    testing: "src/testing/index.ts",
    undo: "src/undo/index.ts",
  },
  format: "esm",
  platform: "neutral",
  target: "es2022",
  outExtensions: () => ({ js: ".mjs", dts: ".d.mts" }),
  dts: true,
  // Types only, and a part of our own declarations: whoever installs the package installs nothing else.
  deps: { alwaysBundle: ["@standard-schema/spec"], onlyBundle: ["@standard-schema/spec"] },
});
