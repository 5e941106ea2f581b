import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

// Both packages from their sources, so that no test runs against an old build.
const sources = [
  { find: /^@chorale\/client$/, replacement: here("../client/src/index.ts") },
  { find: /^@chorale\/client\/devtools$/, replacement: here("../client/src/devtools/index.ts") },
  { find: /^@chorale\/client\/notes$/, replacement: here("../client/src/notes.ts") },
  { find: /^@chorale\/client\/offline$/, replacement: here("../client/src/offline/index.ts") },
  { find: /^@chorale\/client\/schema$/, replacement: here("../client/src/schema.ts") },
  { find: /^@chorale\/client\/testing$/, replacement: here("../client/src/testing/index.ts") },
  { find: /^@chorale\/client\/undo$/, replacement: here("../client/src/undo/index.ts") },
  { find: /^@chorale\/react$/, replacement: here("src/index.ts") },
  { find: /^@chorale\/react\/devtools$/, replacement: here("src/devtools/index.tsx") },
  { find: /^@chorale\/react\/suspense$/, replacement: here("src/use-suspense.ts") },
  { find: /^@chorale\/react\/undo$/, replacement: here("src/use-undo.ts") },
];

// REACT=18 runs the same tests on the oldest React that is supported.
const react18 = ["react", "react-dom", "@testing-library/react"].map((name) => ({
  find: new RegExp(`^${name}(?=/|$)`),
  replacement: here(`compat/react18/node_modules/${name}`),
}));

export default defineConfig({
  resolve: { alias: process.env.REACT === "18" ? [...sources, ...react18] : sources },
  test: {
    environment: "happy-dom",
    include: ["test/**/*.test.{ts,tsx}"],
    setupFiles: ["test/setup.ts"],
    testTimeout: 30_000, // how long a test may wait on a busy machine; what it asserts does not depend on it
    typecheck: { enabled: process.env.REACT !== "18", include: ["test/**/*.test-d.{ts,tsx}"], tsconfig: "tsconfig.json" },
  },
});
