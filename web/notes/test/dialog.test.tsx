import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, describe, expect, test } from "vitest";
import { Dialog } from "../src/ui/dialog.tsx";

afterEach(cleanup);

describe("a dialog", () => {
  const open = () => {
    let closed = 0;
    const onClose = () => {
      closed += 1;
    };
    render(
      <Dialog title="Interview" onClose={onClose}>
        <input aria-label="Title" />
      </Dialog>,
    );
    return { dialog: screen.getByRole("dialog"), field: screen.getByLabelText("Title"), closed: () => closed };
  };

  test("closes when somebody clicks beside it", () => {
    const { dialog, closed } = open();
    fireEvent.pointerDown(dialog);
    fireEvent.click(dialog);
    expect(closed()).toBe(1);
  });
  test("stays when a selection that began inside ends beside it", () => {
    const { dialog, field, closed } = open();
    fireEvent.pointerDown(field);
    fireEvent.click(dialog); // browsers click on what both ends have in common
    expect(closed()).toBe(0);
  });
});
