import { readFileSync } from "node:fs";
import { expect, it } from "vitest";

const TRAPS = 36;
const root = new URL("../../../", import.meta.url);
const page = readFileSync(new URL("traps.md", import.meta.url), "utf8");
const rows = [...page.matchAll(/^\| (\d+) \| ([^|]+) \| (.+) \|$/gm)].map(([, trap, what, where = ""]) => ({
  trap: Number(trap),
  what,
  where,
}));

it("the table has a row for each trap, in order", () => {
  expect(rows.map(({ trap }) => trap)).toEqual(Array.from({ length: TRAPS }, (_, n) => n + 1));
});

it.each(rows)("trap $trap ($what) has a test that carries its number, or a sentence", ({ trap, where }) => {
  const files = [...where.matchAll(/`([\w./-]+)`/g)].map(([, file = ""]) => file);
  if (files.length === 0) expect(where).toMatch(/^[A-Z].+ .+\.$/);
  for (const file of files) {
    const text = readFileSync(new URL(file, root), "utf8");
    expect(text, `${file} has no test named after trap ${trap}`).toMatch(new RegExp(`["'\`(][^"'\`\n]*trap ${trap}\\]`));
  }
});
