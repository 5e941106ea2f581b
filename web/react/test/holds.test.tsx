import { act, render, renderHook } from "@testing-library/react";
import { type ReactNode, StrictMode, useEffect } from "react";
import { describe, expect, test } from "vitest";
import { useBroadcast, useChannel, useCollection, usePresence, useRealtime, useRecord } from "../src/index.ts";
import { FakeClient } from "./fake-client.ts";
import { within } from "./within.tsx";

/** Uses everything that can hold something. */
function Everything({ room }: { room: string }) {
  const { subscribeToProject } = useRealtime();
  useEffect(() => subscribeToProject("p"), [subscribeToProject]);
  useChannel(room);
  useBroadcast(room, "wave", () => {});
  usePresence(room, { name: "Ada" });
  useCollection(room, "items");
  useRecord(room, "items", "1");
  return null;
}

describe("claims", () => {
  test("hooks of one channel and the same options share one claim", () => {
    const client = new FakeClient();
    const rows = Array.from({ length: 100 }, (_, row) => <Row key={String(row)} id={String(row)} />);
    function Row({ id }: { id: string }) {
      useRecord("list", "items", id);
      return null;
    }
    render(rows, { wrapper: within(client) });
    expect(client.channel("list").claims).toBe(1);
  });

  test("other options are another claim, for the client to add up", () => {
    const client = new FakeClient();
    renderHook(() => [useChannel("room"), usePresence("room")], { wrapper: within(client) });
    expect(client.channel("room").claims).toBe(2);
  });

  test("a new options object with the same content changes nothing", () => {
    const client = new FakeClient();
    const { result, rerender } = renderHook(() => useChannel({ name: "room", ack: false }), { wrapper: within(client) });
    const { channel, publish } = result.current;
    rerender();
    expect(result.current.channel).toBe(channel);
    expect(result.current.publish).toBe(publish);
  });

  test("[trap 35] StrictMode and 100 remounts leave no claim and no listener behind", () => {
    const client = new FakeClient();
    const tree = (key: number) => (
      <StrictMode>
        <Everything key={key} room={`room-${key % 3}`} />
      </StrictMode>
    );
    const { rerender, unmount } = render(tree(0), { wrapper: within(client) });
    for (let key = 1; key <= 100; key++) rerender(tree(key));
    expect(client.channels.list().sort()).toEqual(["project:p", "room-1"]);
    unmount();
    expect(client.held).toBe(0);
  });

  test("rendering does not ask for a collection: only a component that stays does", () => {
    const client = new FakeClient();
    const asked: string[] = [];
    function List() {
      useCollection("room", "items");
      asked.push([...client.channel("room").collections.keys()].join());
      return null;
    }
    const tree = (content: ReactNode) => (
      <>
        <Room />
        {content}
      </>
    );
    function Room() {
      useChannel("room");
      return null;
    }
    const { rerender } = render(tree(null), { wrapper: within(client) });
    rerender(tree(<List />));
    expect(asked).toEqual(["", "items"]);
  });

  test("another channel is claimed and the old one given back", () => {
    const client = new FakeClient();
    const { rerender, unmount } = render(<Everything room="a" />, { wrapper: within(client) });
    rerender(<Everything room="b" />);
    expect(client.channels.list().sort()).toEqual(["b", "project:p"]);
    unmount();
    expect(client.held).toBe(0);
  });

  test("undefined claims nothing, shows nothing and is not loading", () => {
    const client = new FakeClient();
    const { result } = renderHook(
      () => ({
        channel: useChannel(undefined),
        presence: usePresence(undefined, { name: "Ada" }),
        items: useCollection(undefined, "items"),
        record: useRecord("list", "items", undefined),
        publish: useBroadcast(undefined, "wave", () => {}),
      }),
      { wrapper: within(client) },
    );
    expect(client.channels.list()).toEqual(["list"]);
    expect(result.current.channel).toMatchObject({ channel: undefined, status: "idle", isSynced: false });
    expect(result.current.presence.members).toEqual([]);
    expect(result.current.items).toMatchObject({ records: [], isLoading: false });
    expect(result.current.record).toBeUndefined();
  });

  test("without a channel, a write says so instead of vanishing", async () => {
    const { result } = renderHook(
      () => ({ items: useCollection<{ title: string }>(undefined, "items"), publish: useBroadcast(undefined, "wave") }),
      { wrapper: within(new FakeClient()) },
    );
    expect(() => result.current.items.add({ title: "x" })).toThrow("add in items: there is no channel");
    await expect(result.current.publish(1)).rejects.toThrow("publish wave: there is no channel");
  });

  test("[R6] a write that is made while the component unmounts holds the channel until it has settled", async () => {
    const client = new FakeClient();
    function Draft() {
      const { add } = useCollection<{ title: string }>("list", "items");
      useEffect(
        () => () => {
          add({ title: "unsaved" });
        },
        [add],
      );
      return null;
    }
    const { unmount } = render(<Draft />, { wrapper: within(client) });
    unmount();
    expect(client.channel("list").collection("items").getSnapshot().records).toMatchObject([{ title: "unsaved" }]);
    expect(client.channels.list()).toEqual(["list"]);
    await act(async () => client.channel("list").settle());
    expect(client.held).toBe(0);
  });

  test("hooks outside of a provider say what is missing", () => {
    expect(() => renderHook(() => useChannel("room"))).toThrow("<RealtimeProvider>");
    // React reports what a render threw on the console as well.
    (console.error as unknown as { mockClear(): void }).mockClear();
  });
});
