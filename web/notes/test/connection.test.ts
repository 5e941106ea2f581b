import type { ConnectionSnapshot } from "@chorale/client";
import { describe, expect, test } from "vitest";
import { describeConnection, describeStorage } from "../src/connection/describe.ts";

const snapshot = (part: Partial<ConnectionSnapshot>): ConnectionSnapshot => ({
  status: "connected",
  isConnected: part.status === undefined,
  attempt: 0,
  ...part,
});

describe("the connection in words", () => {
  test.each([
    [snapshot({}), 0, "Live"],
    [snapshot({ latencyMs: 11.6 }), 0, "Live · 12 ms"],
    [snapshot({ latencyMs: 0.4 }), 2, "Live · < 1 ms"],
    [snapshot({ status: "connecting", attempt: 1 }), 0, "Connecting…"],
    [snapshot({ status: "connecting", attempt: 3, retryAt: 2_000 }), 0, "No answer yet, trying again in 1 s"],
    [snapshot({ status: "reconnecting", retryAt: 5_200 }), 0, "Reconnecting in 5 s"],
    [snapshot({ status: "reconnecting", retryAt: 500 }), 1, "Reconnecting… · 1 unsent edit"],
    [snapshot({ status: "offline" }), 3, "Offline · 3 unsent edits"],
    [snapshot({ status: "needs-auth" }), 0, "Signed out"],
    [snapshot({ status: "failed" }), 0, "Refused by the server"],
  ])("%j with %i pending is %s", (connection, pending, label) => {
    expect(describeConnection(connection, pending, 1_000).label).toBe(label);
  });

  test.each([
    [{ mode: "device" } as const, "Offline · 3 unsent edits, kept on this device", "kept on this device"],
    [
      { mode: "memory", reason: "unavailable" } as const,
      "Offline · 3 unsent edits, only in this tab",
      "only in this tab · this browser keeps nothing (a private window?)",
    ],
    [{ mode: "opening" } as const, "Offline · 3 unsent edits", ""],
  ])("tells where unsent edits are: %j", (storage, label, where) => {
    expect(describeConnection(snapshot({ status: "offline" }), 3, 0, storage).label).toBe(label);
    expect(describeStorage(storage)).toBe(where);
  });

  test("offers to try now while it waits, and to sign in when that is what is missing", () => {
    expect(describeConnection(snapshot({ status: "reconnecting", retryAt: 5_000 }), 0, 0).offers).toBe("try-now");
    expect(describeConnection(snapshot({ status: "needs-auth" }), 0, 0).offers).toBe("sign-in");
    expect(describeConnection(snapshot({}), 0, 0).offers).toBeUndefined();
  });

  test("a screen reader is not told the seconds", () => {
    const at = (now: number) => describeConnection(snapshot({ status: "reconnecting", retryAt: 5_000 }), 0, now).summary;
    expect(at(0)).toBe(at(3_000));
  });
});
