import type { ChoraleErrorLike, ConnectionSnapshot, ConnectionStatus, RealtimeClient, Unsubscribe } from "@chorale/client";
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

const WITHOUT_LATENCY = ({ status, isConnected, error }: ConnectionSnapshot) => ({ status, isConnected, error });

/** The connection, the interviews and the unsettled writes, for an app's frame. The same object until one of them changed. */
export function useRealtime(): UseRealtime {
  const { client, feed } = useRealtimeContext();
  const connection = useConnection(WITHOUT_LATENCY);
  const pendingCount = useStore(client.pendingCount, 0);
  const { interviews, error: projectError } = useStore(feed, NO_INTERVIEWS);
  const error = connection.error ?? projectError;
  const reconnect = useCallback(() => client.reconnect(), [client]);

  return useMemo(
    () => ({
      interviews,
      ...connection,
      error,
      subscribeToProject: feed.subscribeToProject,
      pendingCount,
      reconnect,
      client,
    }),
    [interviews, connection, error, feed, pendingCount, reconnect, client],
  );
}
