import type { ConnectionSnapshot } from "@chorale/client";
import { useRealtimeContext } from "./context.ts";
import { useSelection } from "./use-store.ts";

const ON_SERVER: ConnectionSnapshot = /* @__PURE__ */ Object.freeze({ status: "idle", isConnected: false, attempt: 0 });

const everything = (connection: ConnectionSnapshot) => connection;

/**
 * How the connection is doing. A heartbeat changes `latencyMs`, so a component that only wants to know whether it is connected says so:
 *
 *     const isConnected = useConnection((connection) => connection.isConnected);
 *
 * The component renders when what `select` returns is another value, or an array or object with other parts.
 */
export function useConnection(): ConnectionSnapshot;
export function useConnection<S>(select: (connection: ConnectionSnapshot) => S): S;
export function useConnection(select: (connection: ConnectionSnapshot) => unknown = everything): unknown {
  return useSelection(useRealtimeContext().client.connection, ON_SERVER, select);
}
