import { defineCollection } from "@chorale/client/schema";
import { useSuspenseCollection, useSuspenseInterviewNotes } from "@chorale/react/suspense";
import { act, render, screen } from "@testing-library/react";
import { Component, type ReactNode, StrictMode, Suspense } from "react";
import { expect, test, vi } from "vitest";
import { z } from "zod";
import { RealtimeProvider } from "../src/index.ts";
import { collectionOf, FakeClient, record } from "./fake-client.ts";

interface Item {
  title: string;
}
const items = defineCollection("items", z.object({ title: z.string() }));

class Boundary extends Component<{ children: ReactNode }, { error?: Error }> {
  override state: { error?: Error } = {};
  static getDerivedStateFromError(error: Error) {
    return { error };
  }
  override render() {
    return this.state.error ? <p>{`broke: ${this.state.error.message}`}</p> : this.props.children;
  }
}

function page(client: FakeClient, child: ReactNode) {
  return (
    <StrictMode>
      <RealtimeProvider client={client}>
        <Boundary>
          <Suspense fallback={<p>waiting</p>}>{child}</Suspense>
        </Boundary>
      </RealtimeProvider>
    </StrictMode>
  );
}

function Titles() {
  return (
    <p>
      {useSuspenseCollection<Item>("list", "items")
        .records.map(({ title }) => title)
        .join()}
    </p>
  );
}

function CheckedTitles() {
  return (
    <p>
      {useSuspenseCollection("list", items)
        .records.map(({ title }) => title)
        .join()}
    </p>
  );
}

function Notes() {
  return (
    <p>
      {useSuspenseInterviewNotes("1")
        .notes.map(({ content }) => content)
        .join()}
    </p>
  );
}

test.each([
  ["a collection", "list", "items", <Titles key="t" />],
  ["a checked collection", "list", "items", <CheckedTitles key="c" />],
  ["notes", "interview:1", "notes", <Notes key="n" />],
])("%s suspends until it is there, and is given back", async (_what, channel, collection, child) => {
  const client = new FakeClient();
  const live = client.channel(channel).collection(collection);
  live.set(collectionOf([], true));
  const { unmount } = render(page(client, child));
  expect(screen.getByText("waiting")).toBeDefined();
  expect(client.channels.list()).toEqual([channel]);
  await act(async () => live.set(collectionOf([record("1", { title: "one", content: "one", timestampMs: 0, tags: [] })])));
  expect(screen.getByText("one")).toBeDefined();
  unmount();
  await act(async () => {});
  expect(client.held).toBe(0);
});

test("two collections of one channel are waited for each by itself", async () => {
  const client = new FakeClient();
  const [first, second] = ["items", "others"].map((name) => client.channel("list").collection(name));
  first?.set(collectionOf([], true));
  second?.set(collectionOf([], true));
  function Both() {
    const [one] = useSuspenseCollection("list", items).records;
    const [two] = useSuspenseCollection<Item>("list", "others").records;
    return <p>{`${one?.title} ${two?.title}`}</p>;
  }
  const { unmount } = render(page(client, <Both />));
  await act(async () => first?.set(collectionOf([record("1", { title: "one" })])));
  expect(screen.getByText("waiting")).toBeDefined();
  await act(async () => second?.set(collectionOf([record("2", { title: "two" })])));
  expect(screen.getByText("one two")).toBeDefined();
  unmount();
  await act(async () => {});
  expect(client.held).toBe(0);
});

test("what can never come goes to the error boundary; what is shown already stays, with the error beside it", async () => {
  const failure = Object.assign(new Error("no rule"), { code: "unauthorized", retryable: false });
  const client = new FakeClient();
  client.channel("list").collection("items").set(collectionOf([], true));
  const { unmount } = render(page(client, <Titles />));
  await act(async () => client.channel("list").status.set({ status: "refused", isSynced: false, error: failure }));
  expect(screen.getByText("broke: no rule")).toBeDefined();
  vi.mocked(console.error).mockClear(); // React says so as well
  unmount();

  const shown = new FakeClient();
  shown
    .channel("list")
    .collection("items")
    .set(collectionOf([record("1", { title: "one" })]));
  render(page(shown, <Titles />));
  await act(async () => shown.channel("list").status.set({ status: "refused", isSynced: true, error: failure }));
  expect(screen.getByText("one")).toBeDefined();
});
