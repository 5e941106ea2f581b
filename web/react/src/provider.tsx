import {
  createRealtimeClient,
  type Platform,
  type RealtimeClient,
  type RealtimeClientOptions,
  type Unsubscribe,
} from "@chorale/client";
import { type ReactNode, useEffect, useMemo, useRef, useState } from "react";
import { RealtimeContext } from "./context.ts";
import { Holds } from "./holds.ts";
import { InterviewFeed } from "./interview-feed.ts";
import { useLatest } from "./use-store.ts";

/** How long a client outlives the provider that made it, in ms: StrictMode unmounts and mounts again, and the newest writes want to be sent. */
const CLOSE_GRACE_MS = 1_000;

export type RealtimeProviderProps = { children?: ReactNode } & (
  | {
      /** A client that the app made and closes. The provider only keeps its connection open while mounted. */
      client: RealtimeClient;
    }
  | ({ client?: undefined } & RealtimeClientOptions)
);

/**
 * Gives a client to the hooks below.
 *
 * With `url` and `getToken` the provider makes a client of its own, once: rendering does nothing else, so it is safe on a server. It
 * connects when mounted and closes a moment after unmounting. `getToken` may be a new function in each render; another `url` is
 * another server, so everything below starts anew; other options are read once. Give the provider the user's id as `key` when
 * another person may sign in.
 */
export function RealtimeProvider(props: RealtimeProviderProps): ReactNode {
  if (props.client !== undefined) return <GivenClient client={props.client}>{props.children}</GivenClient>;
  return <OwnClient key={props.url} {...props} />;
}

function GivenClient({ client, children }: { client: RealtimeClient; children?: ReactNode }) {
  useEffect(() => client.retain(), [client]);
  return <Hooked client={client}>{children}</Hooked>;
}

function OwnClient({
  children,
  client: _none,
  ...options
}: { children?: ReactNode; client?: undefined } & RealtimeClientOptions) {
  const latest = useLatest(options);
  const make = () => createRealtimeClient({ ...latest.current, getToken: (why) => latest.current.getToken(why) });
  const [client, setClient] = useState(make);
  const keepOpen = useRef<() => void>(undefined);

  useEffect(() => {
    const release = client.retain();
    keepOpen.current?.();
    return () => {
      const close = () => {
        client.close();
        // A tree that is only hidden finds another client when it is shown again: the effects below run before this one.
        setClient(make());
      };
      const cancel = schedule(latest.current.platform ?? {}, close, CLOSE_GRACE_MS);
      keepOpen.current = () => {
        cancel();
        release();
      };
    };
  }, [client]);

  return <Hooked client={client}>{children}</Hooked>;
}

function Hooked({ client, children }: { client: RealtimeClient; children?: ReactNode }) {
  const realtime = useMemo(() => ({ client, holds: new Holds(client), feed: new InterviewFeed(client) }), [client]);
  return <RealtimeContext.Provider value={realtime}>{children}</RealtimeContext.Provider>;
}

function schedule(platform: Partial<Platform>, fn: () => void, ms: number): Unsubscribe {
  const handle = platform.setTimeout ? platform.setTimeout(fn, ms) : setTimeout(fn, ms);
  return () => {
    if (platform.clearTimeout) platform.clearTimeout(handle);
    else clearTimeout(handle as ReturnType<typeof setTimeout>);
  };
}
