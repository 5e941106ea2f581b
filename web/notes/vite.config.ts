import { fileURLToPath } from "node:url";
import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

const workspace = (path: string) => fileURLToPath(new URL(`../${path}`, import.meta.url));

/** Where `npm run dev` finds a server: `chorale serve --dev` listens there. */
const server = process.env.CHORALE_URL ?? "http://127.0.0.1:4000";

export default defineConfig({
  plugins: [react(), tailwindcss()],
  resolve: {
    // The SDK's sources rather than its build, so that an app built from this checkout is never older than the SDK in it.
    alias: {
      "@chorale/client/devtools": workspace("client/src/devtools/index.ts"),
      "@chorale/client/offline": workspace("client/src/offline/index.ts"),
      "@chorale/client/history": workspace("client/src/history.ts"),
      "@chorale/client/notes": workspace("client/src/notes.ts"),
      "@chorale/client/schema": workspace("client/src/schema.ts"),
      "@chorale/client/testing": workspace("client/src/testing/index.ts"),
      "@chorale/client/tabs": workspace("client/src/tabs/index.ts"),
      "@chorale/client/undo": workspace("client/src/undo/index.ts"),
      "@chorale/client": workspace("client/src/index.ts"),
      "@chorale/react/devtools": workspace("react/src/devtools/index.tsx"),
      "@chorale/react/undo": workspace("react/src/use-undo.ts"),
      "@chorale/react": workspace("react/src/index.ts"),
    },
  },
  build: { sourcemap: false, modulePreload: { polyfill: false } },
  server: {
    proxy: {
      "/dev/token": server,
      "/socket": { target: server, ws: true },
      "/realtime": { target: server, ws: true },
    },
  },
  // How long a test may wait on a busy machine; what it asserts does not depend on it.
  test: { environment: "happy-dom", include: ["test/**/*.test.{ts,tsx}"], testTimeout: 30_000 },
});
