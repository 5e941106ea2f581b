import { version } from "react";
import { expect, test } from "vitest";

test("the suite runs on the React that was asked for", () => {
  expect(version.split(".")[0]).toBe(process.env.REACT ?? "19");
});
