import { createRealtimeClient } from "@chorale/client";
import { createFakePlatform, createFakeServer } from "@chorale/client/testing";
import { act } from "@testing-library/react";

/** A server in memory, clients of it, and the time that both live in. */
export function aServer() {
  const platform = createFakePlatform();
  const server = createFakeServer({ platform });
  return {
    platform,
    server,
    /** The client of a user. */
    client: (sub: string) => createRealtimeClient({ url: "http://chorale.test", getToken: () => server.token(sub), platform }),
    /** Lets everything happen that is due within `ms`. */
    pass: (ms = 0) => act(() => platform.advance(ms)),
    /** How often an event was sent to the server for a channel. */
    sent: (event: string, channel: string) =>
      server.frames.filter(
        (frame) => frame.direction === "up" && frame.event === event && frame.topic === `realtime:${channel}`,
      ).length,
  };
}
