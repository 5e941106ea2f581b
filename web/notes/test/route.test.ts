import { describe, expect, test } from "vitest";
import { formatRoute, parentOf, parseRoute, type Route } from "../src/route.ts";

const routes: Route[] = [
  { page: "projects" },
  { page: "project", projectId: "7" },
  { page: "interview", projectId: "7", interviewId: "0193-a_b.c~d" },
];

describe("routes", () => {
  test.each(routes)("$page has a path that leads back to it", (route) => expect(parseRoute(formatRoute(route))).toEqual(route));

  test("slashes at the end do not matter", () => expect(parseRoute("/p/7/")).toEqual({ page: "project", projectId: "7" }));

  test.each([
    "/p",
    "/p/7/i",
    "/p/7/x/42",
    "/p/7/i/42/more",
    "/elsewhere",
    "/p/%",
    "/p/a%2Fb",
    "/p/7/i/a%00b",
    "/p/7/i/%20",
    `/p/${"7".repeat(201)}`,
  ])("%s leads nowhere, and keeps its path", (path) => expect(parseRoute(path)).toEqual({ page: "not-found", path }));

  test("going back leads from an interview to its project, and from there to all", () => {
    expect(routes.map(parentOf)).toEqual([undefined, { page: "projects" }, { page: "project", projectId: "7" }]);
  });
});
