import { cleanup, render, screen } from "@testing-library/react";
import { afterEach, expect, test, vi } from "vitest";
import { PageBoundary } from "../src/page-boundary.tsx";

afterEach(() => {
  cleanup();
  vi.restoreAllMocks();
});

function Broken(): never {
  throw new Error("a fault");
}

test("a page that breaks can be reloaded, and does not take the others with it", () => {
  vi.spyOn(console, "error").mockImplementation(() => {}); // React tells of the fault there
  const at = (path: string) => <PageBoundary path={path}>{path === "/p/bad" ? <Broken /> : <p>Fine</p>}</PageBoundary>;
  const { rerender } = render(at("/p/bad"));
  expect(screen.getByTestId("broken-page").textContent).toContain("Reload");
  rerender(at("/p/good"));
  expect(screen.getByText("Fine")).toBeTruthy();
});
