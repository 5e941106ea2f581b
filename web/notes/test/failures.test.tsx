import type { MutationFailure, RealtimeClient } from "@chorale/client";
import { createRealtimeClient } from "@chorale/client";
import { RealtimeProvider } from "@chorale/react";
import { act, cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { failuresIn, forgetFailure, keepFailure } from "../src/note/failures.ts";
import { KeptFailuresProvider, useKeptFailures } from "../src/note/kept-failures.tsx";
import { ToastProvider } from "../src/toast/toast.tsx";

const refused = (part: Partial<MutationFailure> = {}): MutationFailure => ({
  channel: "interview:i1",
  collection: "notes",
  recordId: "n1",
  op: "put",
  outcome: { status: "rejected", code: "schema_violation", message: "too long" },
  fields: { content: "What she said" },
  ...part,
});

describe("what the server refused", () => {
  const none = new Map<string, MutationFailure>();
  test("is kept by channel and note, the newest of each", () => {
    const older = refused({ op: "patch" });
    const newer = refused({ op: "patch", fields: { content: "Newer" } });
    const elsewhere = refused({ channel: "interview:i2" });
    const kept = [older, elsewhere, newer].reduce(keepFailure, none);
    expect([...failuresIn(kept, "interview:i1").values()]).toEqual([newer]);
    expect([...failuresIn(kept, "interview:i2").values()]).toEqual([elsewhere]);
  });
  test("an edit of a refused note joins its text instead of hiding it", () => {
    const edit = refused({ op: "patch", outcome: { status: "gone", offset: 9 }, fields: { tags: ["price"] } });
    const [kept] = keepFailure(keepFailure(none, refused()), edit).values();
    expect(kept).toMatchObject({ op: "put", fields: { content: "What she said", tags: ["price"] } });
  });
  test("has an end: the oldest go first", () => {
    const many = Array.from({ length: 201 }, (_, n) => refused({ recordId: `n${n}` }));
    const kept = failuresIn(many.reduce(keepFailure, none), "interview:i1");
    expect([kept.size, kept.has("n0"), kept.has("n200")]).toEqual([200, false, true]);
  });
  test("is forgotten when somebody has dealt with it", () => {
    const kept = keepFailure(none, refused());
    expect(forgetFailure(kept, "interview:i1", "n1").size).toBe(0);
    expect(forgetFailure(kept, "interview:i2", "n1")).toBe(kept);
  });
});

describe("a refusal whose page is not open", () => {
  let refuse: (failure: MutationFailure) => void;
  let client: RealtimeClient;
  beforeEach(() => {
    const real = createRealtimeClient({ url: "http://fake", getToken: () => new Promise<string>(() => {}) });
    client = {
      ...real,
      retain: () => () => {},
      on: (event, listener) => {
        if (event === "mutationFailed") refuse = listener as typeof refuse;
        return () => {};
      },
    };
  });
  afterEach(cleanup);

  function Panel() {
    const { failures, forget } = useKeptFailures("interview:i1");
    return [...failures.keys()].map((id) => (
      <button type="button" key={id} data-testid="kept" onClick={() => forget(id)}>
        {id}
      </button>
    ));
  }
  const page = (isOpen: boolean) => (
    <RealtimeProvider client={client}>
      <ToastProvider>
        <KeptFailuresProvider>{isOpen && <Panel />}</KeptFailuresProvider>
      </ToastProvider>
    </RealtimeProvider>
  );

  test("[R6] is told in passing, and is there with its text when the page opens", () => {
    const { rerender } = render(page(false));
    act(() => refuse(refused()));
    expect(screen.getByTestId("toast").textContent).toContain("“What she said” could not be saved: too long");
    expect(screen.getByTestId("toast-copy").textContent).toBe("Copy what I wrote");
    rerender(page(true));
    fireEvent.click(screen.getByTestId("kept"));
    expect(screen.queryByTestId("kept")).toBeNull();
  });
  test("[R6] one that its page shows outlives the page, and needs no toast", () => {
    const { rerender } = render(page(true));
    act(() => refuse(refused()));
    expect(screen.queryByTestId("toast")).toBeNull();
    rerender(page(false));
    rerender(page(true));
    expect(screen.getByTestId("kept").textContent).toBe("n1");
  });
  test("[R6] what is no note is always told", () => {
    render(page(true));
    act(() => refuse(refused({ collection: "interviews", channel: "project:p1", fields: { title: "Ingrid" } })));
    expect(screen.getByTestId("toast").textContent).toContain("“Ingrid” could not be saved");
    expect(screen.queryByTestId("kept")).toBeNull();
  });
});
