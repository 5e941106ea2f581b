import { act, cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ToastProvider, useToast } from "../src/toast/toast.tsx";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  cleanup();
  vi.useRealTimers();
});

describe("a toast with something to do", () => {
  const open = () => {
    let runs = 0;
    const run = () => {
      runs += 1;
    };
    function Teller() {
      const toast = useToast();
      return (
        <button type="button" onClick={() => toast({ text: "Note deleted", action: { label: "Undo", run } })}>
          Tell
        </button>
      );
    }
    render(
      <ToastProvider>
        <Teller />
      </ToastProvider>,
    );
    fireEvent.click(screen.getByText("Tell"));
    return { runs: () => runs };
  };
  const pass = (ms: number) => act(() => void vi.advanceTimersByTime(ms));

  test("stays while its button has the focus", () => {
    open();
    act(() => screen.getByText("Undo").focus());
    pass(60_000);
    act(() => screen.getByText("Undo").blur());
    expect(screen.queryByTestId("toast")).not.toBeNull();
    pass(8_000);
    expect(screen.queryByTestId("toast")).toBeNull();
  });
  test("is done by the key z, once", () => {
    const { runs } = open();
    fireEvent.keyDown(window, { key: "z" });
    fireEvent.keyDown(window, { key: "z" });
    expect(runs()).toBe(1);
    expect(screen.queryByTestId("toast")).toBeNull();
  });
  test("leaves the z that belongs to the browser or to a text alone", () => {
    const { runs } = open();
    fireEvent.keyDown(window, { key: "z", ctrlKey: true });
    expect(runs()).toBe(0);
  });
});
