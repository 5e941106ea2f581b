import { beforeEach, describe, expect, test } from "vitest";
import { applyTheme, loadTheme, otherTheme } from "../src/theme/theme.ts";
import { changed } from "../src/ui/changed.ts";

beforeEach(() => localStorage.clear());

describe("the theme", () => {
  test("is the other one than what is seen, and goes back to the device's when that is the same", () => {
    expect(otherTheme("system", false)).toBe("dark");
    expect(otherTheme("dark", false)).toBe("system");
    expect(otherTheme("system", true)).toBe("light");
    expect(otherTheme("light", true)).toBe("system");
    expect(otherTheme("dark", true)).toBe("light");
  });
  test("is kept, and system is nothing to keep", () => {
    const root = document.createElement("html");
    applyTheme("dark", root, localStorage);
    expect([root.dataset.theme, loadTheme(localStorage)]).toEqual(["dark", "dark"]);
    applyTheme("system", root, localStorage);
    expect([root.dataset.theme, loadTheme(localStorage), localStorage.length]).toEqual([undefined, "system", 0]);
  });
});

test("a form writes only what somebody changed", () => {
  expect(changed({ title: "a", role: "" }, { title: "b", role: "" })).toEqual({ title: "b" });
});
