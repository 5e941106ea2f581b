import { act, renderHook } from "@testing-library/react";
import { describe, expect, test } from "vitest";
import { useBroadcast, useChannel, useClientEvent, useConflicts, usePresence, useRealtime } from "../src/index.ts";
import { FakeClient } from "./fake-client.ts";
import { within } from "./within.tsx";

describe("useChannel", () => {
  test("shows the channel's state and why it was refused", () => {
    const client = new FakeClient();
    const { result } = renderHook(() => useChannel("room"), { wrapper: within(client) });
    expect(result.current).toMatchObject({ status: "joined", isSynced: true });
    expect(result.current.channel?.name).toBe("room");
    const error = Object.assign(new Error("no rule"), { code: "forbidden", retryable: false });
    act(() => client.channel("room").status.set({ status: "refused", isSynced: false, error }));
    expect(result.current).toMatchObject({ status: "refused", error });
  });
});

describe("useBroadcast", () => {
  test("hands each message to the newest listener without listening anew", () => {
    const client = new FakeClient();
    const heard: string[] = [];
    const { rerender } = renderHook(
      ({ name }) => useBroadcast<number>("room", "wave", ({ payload }) => heard.push(`${name} ${payload}`)),
      { wrapper: within(client), initialProps: { name: "first" } },
    );
    const [handler] = client.channel("room").handlers;
    client.channel("room").receive("wave", 1);
    rerender({ name: "second" });
    client.channel("room").receive("wave", 2);
    client.channel("room").receive("other", 3);
    expect(heard).toEqual(["first 1", "second 2"]);
    expect([...client.channel("room").handlers]).toEqual([handler]);
  });

  test("publishes the event and resolves with its place in the log", async () => {
    const client = new FakeClient();
    const { result } = renderHook(() => useBroadcast<{ from: string }>("room", "wave"), { wrapper: within(client) });
    await expect(result.current({ from: "Ada" })).resolves.toEqual({ id: "m", offset: 1 });
    expect(client.channel("room").published).toEqual([{ event: "wave", payload: { from: "Ada" } }]);
  });
});

describe("usePresence", () => {
  test("takes part with the first state, and changes some of it", () => {
    const client = new FakeClient();
    const { result, rerender } = renderHook(({ name }) => usePresence("room", { name, typing: false }), {
      wrapper: within(client),
      initialProps: { name: "Ada" },
    });
    rerender({ name: "ignored" });
    act(() => result.current.update({ typing: true }));
    expect(client.channel("room").states).toEqual([
      { name: "Ada", typing: false },
      { name: "Ada", typing: true },
    ]);
  });

  test("finds oneself among the members", () => {
    const client = new FakeClient();
    const { result } = renderHook(() => usePresence<{ name: string }>("room"), { wrapper: within(client) });
    const member = (key: string, isSelf: boolean) => ({ key, state: { name: key }, states: [{ name: key }], isSelf });
    act(() => client.channel("room").members.set([member("ada", false), member("ben", true)]));
    expect(result.current.members.map(({ state }) => state.name)).toEqual(["ada", "ben"]);
    expect(result.current.self?.key).toBe("ben");
  });
});

describe("events of the client", () => {
  test("reach the newest listener while it is mounted", () => {
    const client = new FakeClient();
    const heard: string[] = [];
    const { rerender, unmount } = renderHook(
      ({ name }) => {
        useConflicts(({ field }) => heard.push(`${name} ${field}`));
        useClientEvent("resync", ({ channel }) => heard.push(`${name} ${channel}`));
      },
      { wrapper: within(client), initialProps: { name: "first" } },
    );
    rerender({ name: "second" });
    const conflict = { channel: "c", collection: "items", recordId: "1", field: "title", mine: "a", theirs: "b" };
    client.emit("conflict", conflict);
    client.emit("resync", { channel: "c", reason: "truncated" });
    unmount();
    client.emit("conflict", conflict);
    expect(heard).toEqual(["second title", "second c"]);
  });
});

describe("useRealtime", () => {
  test("shows the connection, the unsettled writes, and lets a person try again", () => {
    const client = new FakeClient();
    const { result } = renderHook(useRealtime, { wrapper: within(client) });
    expect(result.current).toMatchObject({ status: "connected", isConnected: true, pendingCount: 0, interviews: [], client });
    act(() => client.pendingCount.set(3));
    expect(result.current.pendingCount).toBe(3);
    result.current.reconnect();
    expect(client.reconnects).toBe(1);
  });
});
