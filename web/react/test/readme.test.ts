import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

const read = (path: string) => readFileSync(new URL(path, import.meta.url), "utf8");

test("the sample in the README is the one that the compiler has seen", () => {
  const [, sample] = read("../README.md").match(/```tsx\n(.*?)```/s) ?? [];
  expect(sample).toBe(read("readme-sample.tsx"));
});

test("the README names every hook", () => {
  const hooks = read("../src/index.ts").match(/\buse[A-Z]\w+/g) ?? [];
  const readme = read("../README.md");
  expect(hooks.filter((hook) => !new RegExp(`\`${hook}[(<]`).test(readme))).toEqual([]);
});
