import type { ChoraleErrorLike, ConnectionStatus, RealtimeClient, Unsubscribe } from "@chorale/client";
import type { Interview } from "@chorale/client/notes";
import { useCallback, useMemo } from "react";
import { useRealtimeContext } from "./context.ts";
import { NO_INTERVIEWS } from "./interview-feed.ts";
import { useConnection } from "./use-connection.ts";
import { useStore } from "./use-store.ts";

export interface UseRealtime {
  /** Of the projects that anybody below the provider subscribed to, in the order they were made. */
  readonly interviews: readonly Interview[];
  readonly isConnected: boolean;
  readonly status: ConnectionStatus;
  /** Why the connection is not there, or else why a subscribed project is not. */
  readonly error: ChoraleErrorLike | undefined;
  /** Shows a project's interviews until the returned function is called. Stable, for an effect: `useEffect(() => subscribeToProject(id), …)`. */
  readonly subscribeToProject: (projectId: string) => Unsubscribe;
  /** How many writes have not settled: what would be lost if the tab closed now. */
  readonly pendingCount: number;
  /** Tries to connect again at once. Stable. */
  readonly reconnect: () => void;
  readonly client: RealtimeClient;
}

/** The connection, the interviews and the unsettled writes, for an app's frame. The same object until one of them changed. */
export function useRealtime(): UseRealtime {
  const { client, feed } = useRealtimeContext();
  const status = useConnection((connection) => connection.status);
  const isConnected = useConnection((connection) => connection.isConnected);
  const connectionError = useConnection((connection) => connection.error);
  const pendingCount = useStore(client.pendingCount, 0);
  const { interviews, error: projectError } = useStore(feed, NO_INTERVIEWS);
  const error = connectionError ?? projectError;
  const reconnect = useCallback(() => client.reconnect(), [client]);

  return useMemo(
    () => ({
      interviews,
      isConnected,
      status,
      error,
      subscribeToProject: feed.subscribeToProject,
      pendingCount,
      reconnect,
      client,
    }),
    [interviews, isConnected, status, error, feed, pendingCount, reconnect, client],
  );
}
