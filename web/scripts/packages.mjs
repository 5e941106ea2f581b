/**
 * Looks at the packages as they would be published: packs them, lints the tarballs, resolves their types as apps do, and compares
 * their public surface with the pages in `api/`. With --write it writes those pages instead.
 *
 *     node scripts/packages.mjs [--write]
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { apiReport } from "./api-report.mjs";

const web = fileURLToPath(new URL("..", import.meta.url));
const PUBLISHED = ["client", "react"];
const problems = [];

if (process.argv.includes("--write"))
  for (const name of PUBLISHED) eachReport(name, (path, report) => writeFileSync(path, report));
else for (const name of PUBLISHED) check(name);
for (const problem of problems) console.error(`packages: ${problem}`);
if (problems.length > 0) process.exit(1);

function check(name) {
  const tarballs = mkdtempSync(join(tmpdir(), "chorale-pack-"));
  try {
    run("npm", ["pack", "--silent", "--pack-destination", tarballs], join(web, name));
    const [tarball] = readdirSync(tarballs).map((file) => join(tarballs, file));
    const packed = run("tar", ["-tzf", tarball], web).split("\n");
    for (const file of ["package/LICENSE", "package/README.md"])
      if (!packed.includes(file)) problems.push(`${name}: no ${file}`);
    for (const file of packed.filter((file) => /\b(src|test|api)\//.test(file))) problems.push(`${name}: ${file} is packed`);
    lint(name, "publint", ["run", tarball, "--strict"]);
    lint(name, "attw", [tarball, "--profile", "esm-only", "--format", "ascii", "--no-color", "--no-emoji"]);
  } finally {
    rmSync(tarballs, { recursive: true });
  }
  const reports = new Set();
  eachReport(name, (path, report) => {
    reports.add(path);
    if (!existsSync(path) || readFileSync(path, "utf8") !== report)
      problems.push(
        `the public surface of ${name} is not what ${path.slice(web.length)} says. Run \`make api\`, look at its diff, and commit it ` +
          "with the change; what breaks apps goes into CHANGELOG.md.",
      );
  });
  for (const file of readdirSync(join(web, name, "api")))
    if (!reports.has(join(web, name, "api", file))) problems.push(`${name}/api/${file} is of no entry of the package`);
}

/** Calls back with each entry's page, and where it belongs. */
function eachReport(name, act) {
  const root = join(web, name);
  const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  mkdirSync(join(root, "api"), { recursive: true });
  for (const [entry, { types }] of Object.entries(manifest.exports)) {
    const specifier = join(manifest.name, entry);
    act(join(root, "api", `${entry === "." ? "index" : entry.slice(2)}.md`), apiReport(specifier, join(root, types), root));
  }
}

function lint(name, tool, args) {
  try {
    run(join(web, "node_modules/.bin", tool), args, web);
  } catch (error) {
    problems.push(`${name}: ${tool} found fault with the tarball:\n${error.stdout}${error.stderr}`);
  }
}

function run(command, args, cwd) {
  return execFileSync(command, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}
