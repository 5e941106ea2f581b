/**
 * Writes what Next itself checks pages, layouts and routes by into .next/types. This is `next typegen` without the compiler that it would
 * download first, 100 MB, and not use; the modules are internal to Next, so its version is pinned.
 */
import { mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const next = createRequire(new URL("package.json", import.meta.url));
const { discoverRoutes } = next("next/dist/build/route-discovery");
const { createRouteTypesManifest, writeRouteTypesManifest, writeValidatorFile } = next(
  "next/dist/server/lib/router-utils/route-types-utils",
);

const dir = import.meta.dirname;
const types = join(dir, ".next", "types");
const validatorFilePath = join(types, "validator.ts");
mkdirSync(types, { recursive: true });
const routes = await discoverRoutes({
  ...{ appDir: join(dir, "app"), baseDir: dir, pageExtensions: ["tsx", "ts"], isDev: false, isSrcDir: false },
});
const manifest = await createRouteTypesManifest({ dir, ...routes, validatorFilePath });
await writeRouteTypesManifest(manifest, join(types, "routes.d.ts"), { experimental: {} });
await writeValidatorFile(manifest, validatorFilePath, true);
