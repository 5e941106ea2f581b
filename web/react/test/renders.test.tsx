import { act, render, renderHook } from "@testing-library/react";
import * as React from "react";
import { memo, useLayoutEffect } from "react";
import { describe, expect, test } from "vitest";
import {
  type Note,
  useCollection,
  useConnection,
  useInterviewNotesRealtime,
  useRecord,
  useRecordStatus,
} from "../src/index.ts";
import { collectionOf, FakeClient, record } from "./fake-client.ts";
import { within } from "./within.tsx";

interface Item {
  title: string;
}

const ten = Array.from({ length: 10 }, (_, n) => record<Item>(`i${n}`, { title: `item ${n}` }));
const editSeven = ten.map((item) => (item.id === "i7" ? record<Item>("i7", { title: "edited" }) : item));

describe("renders", () => {
  test("a loss that passes is no error of a collection; a connection that needs somebody is one", () => {
    const client = new FakeClient();
    client.channel("list").collection("items").set(collectionOf(ten));
    const shown: unknown[] = [];
    renderHook(
      () => {
        const { error } = useCollection<Item>("list", "items");
        shown.push(error?.message);
      },
      { wrapper: within(client) },
    );
    const failure = (message: string, retryable: boolean) =>
      Object.assign(new Error(message), { code: "close_1006", retryable });
    const { status } = client.channel("list");
    act(() => client.connection.set({ status: "reconnecting", isConnected: false, attempt: 1, error: failure("lost", true) }));
    act(() => status.set({ status: "rejoining", isSynced: true, error: failure("closed", true) }));
    expect(new Set(shown)).toEqual(new Set([undefined]));
    act(() =>
      client.connection.set({ status: "needs-auth", isConnected: false, attempt: 1, error: failure("sign in", false) }),
    );
    act(() => status.set({ status: "refused", isSynced: true, error: failure("no rule", false) }));
    expect(shown.slice(-2)).toEqual(["sign in", "no rule"]);
  });

  test("[trap 36] editing record 7 renders row 7 alone when rows use useRecord", () => {
    const client = new FakeClient();
    const items = client.channel("list").collection("items");
    items.set(collectionOf(ten));
    const rendered: string[] = [];
    function Row({ id }: { id: string }) {
      rendered.push(`${id}: ${useRecord<Item>("list", "items", id)?.title}`);
      return null;
    }
    render(
      ten.map(({ id }) => <Row key={id} id={id} />),
      { wrapper: within(client) },
    );
    rendered.length = 0;
    act(() => items.set(collectionOf(editSeven)));
    expect(rendered).toEqual(["i7: edited"]);
  });

  test("[trap 36] editing note 7 renders the list and row 7 when rows are memoised", () => {
    const client = new FakeClient();
    const notes = client.channel("interview:1").collection("notes");
    const at = (n: number, content: string) => record(`n${n}`, { content, timestampMs: n * 1000, tags: [] });
    const before = Array.from({ length: 10 }, (_, n) => at(n, "as it was"));
    notes.set(collectionOf(before));
    const rendered: string[] = [];
    const Row = memo(({ note }: { note: Note }) => {
      rendered.push(`${note.id}: ${note.content}`);
      return null;
    });
    function List() {
      return useInterviewNotesRealtime("1").notes.map((note) => <Row key={note.id} note={note} />);
    }
    render(<List />, { wrapper: within(client) });
    rendered.length = 0;
    act(() => notes.set(collectionOf(before.map((note, n) => (n === 7 ? at(7, "edited") : note)))));
    expect(rendered).toEqual(["n7: edited"]);
  });

  test("a row below a mounted list shows its record in its first render", () => {
    const client = new FakeClient();
    client.channel("list").collection("items").set(collectionOf(ten));
    const rendered: (string | undefined)[] = [];
    function Row({ id }: { id: string }) {
      rendered.push(useRecord<Item>("list", "items", id)?.title);
      return null;
    }
    function List() {
      return useCollection<Item>("list", "items").records.map(({ id }) => <Row key={id} id={id} />);
    }
    render(<List />, { wrapper: within(client) });
    expect(rendered).toEqual(ten.map(({ title }) => title));
  });

  test("a heartbeat does not render a component that asked whether it is connected", () => {
    const client = new FakeClient();
    let renders = 0;
    const { result } = renderHook(
      () => {
        renders++;
        return useConnection((connection) => connection.isConnected);
      },
      { wrapper: within(client) },
    );
    act(() => client.connection.set({ ...client.connection.getSnapshot(), latencyMs: 12 }));
    expect([result.current, renders]).toEqual([true, 1]);
    act(() => client.connection.set({ status: "reconnecting", isConnected: false, attempt: 1 }));
    expect([result.current, renders]).toEqual([false, 2]);
  });

  test("actions and unchanged results are the same objects in every render", () => {
    const client = new FakeClient();
    const { result, rerender } = renderHook(() => [useCollection("list", "items"), useInterviewNotesRealtime("1")] as const, {
      wrapper: within(client),
    });
    const [items, notes] = result.current;
    rerender();
    expect(result.current[0]).toBe(items);
    expect(result.current[1]).toBe(notes);
    act(() => client.channel("list").collection("items").set(collectionOf(ten)));
    expect(result.current[0].add).toBe(items.add);
    expect(result.current[1].addNote).toBe(notes.addNote);
  });

  test("a status of one record renders that record's component only", () => {
    const client = new FakeClient();
    const items = client.channel("list").collection("items");
    items.set(collectionOf(ten));
    const pending = { pending: 1 };
    const rendered: string[] = [];
    function Badge({ id }: { id: string }) {
      rendered.push(`${id}: ${useRecordStatus("list", "items", id)?.pending ?? 0}`);
      return null;
    }
    render([<Badge key="i1" id="i1" />, <Badge key="i2" id="i2" />], { wrapper: within(client) });
    rendered.length = 0;
    act(() => items.set({ ...collectionOf(ten), status: new Map([["i2", pending]]) }));
    expect(rendered).toEqual(["i2: 1"]);
  });

  test.runIf("Activity" in React)("a hidden tree that renders again goes on showing what it showed", () => {
    const client = new FakeClient();
    client.channel("list").collection("items").set(collectionOf(ten));
    function List({ title }: { title: string }) {
      return <p>{`${title}: ${useCollection<Item>("list", "items").records.length}`}</p>;
    }
    const tree = (mode: "visible" | "hidden", title: string) => (
      <React.Activity mode={mode}>
        <List title={title} />
      </React.Activity>
    );
    const { container, rerender } = render(tree("visible", "first"), { wrapper: within(client) });
    rerender(tree("hidden", "second"));
    expect(client.channels.list()).toEqual([]);
    expect(container.textContent).toBe("second: 10");
  });

  test("[trap 36] what changes between render and subscription is seen", () => {
    const client = new FakeClient();
    const items = client.channel("list").collection("items");
    function Changes() {
      // Layout effects run before subscriptions do.
      useLayoutEffect(() => items.set(collectionOf(ten)), []);
      return null;
    }
    const seen: number[] = [];
    function List() {
      seen.push(useCollection<Item>("list", "items").records.length);
      return <Changes />;
    }
    render(<List />, { wrapper: within(client) });
    expect(seen).toEqual([0, 10]);
  });
});
