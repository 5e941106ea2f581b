import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

// The package by its own name, as samples import it, from its sources: no test runs against an old build.
export default defineConfig({
  resolve: {
    alias: [
      { find: /^@chorale\/client$/, replacement: here("src/index.ts") },
      { find: /^@chorale\/client\/devtools$/, replacement: here("src/devtools/index.ts") },
      { find: /^@chorale\/client\/history$/, replacement: here("src/history.ts") },
      { find: /^@chorale\/client\/notes$/, replacement: here("src/notes.ts") },
      { find: /^@chorale\/client\/offline$/, replacement: here("src/offline/index.ts") },
      { find: /^@chorale\/client\/schema$/, replacement: here("src/schema.ts") },
      { find: /^@chorale\/client\/tabs$/, replacement: here("src/tabs/index.ts") },
      { find: /^@chorale\/client\/testing$/, replacement: here("src/testing/index.ts") },
      { find: /^@chorale\/client\/undo$/, replacement: here("src/undo/index.ts") },
    ],
  },
  // How long a test may wait on a busy machine; what it asserts does not depend on it.
  test: { environment: "node", include: ["test/**/*.test.ts"], testTimeout: 30_000 },
});
