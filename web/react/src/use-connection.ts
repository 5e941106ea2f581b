import type { ConnectionSnapshot } from "@chorale/client";
import { useSyncExternalStore } from "react";
import { useRealtimeContext } from "./context.ts";

const ON_SERVER: ConnectionSnapshot = /* @__PURE__ */ Object.freeze({ status: "idle", isConnected: false, attempt: 0 });

const everything = (connection: ConnectionSnapshot) => connection;

/**
 * How the connection is doing. A heartbeat changes `latencyMs`, so a component that only wants to know whether it is connected says so:
 *
 *     const isConnected = useConnection((connection) => connection.isConnected);
 *
 * `select` returns a part of the snapshot, not something made of it: what it returns is compared with `Object.is`.
 */
export function useConnection(): ConnectionSnapshot;
export function useConnection<S>(select: (connection: ConnectionSnapshot) => S): S;
export function useConnection(select: (connection: ConnectionSnapshot) => unknown = everything): unknown {
  const { connection } = useRealtimeContext().client;
  return useSyncExternalStore(
    connection.subscribe,
    () => select(connection.getSnapshot()),
    () => select(ON_SERVER),
  );
}
