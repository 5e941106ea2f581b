/** People in one channel of a fake server, each with a client of their own. */
import { createRealtimeClient } from "../src/client";
import { createFakePlatform, createFakeServer, type FakeFrame, type FakePlatform, type FakeRules } from "../src/testing";
import type { Conflict, MutationFailure, Platform } from "../src/types";

export interface Fields {
  content: string;
  timestampMs?: number;
  tags?: readonly string[];
  votes?: number;
}

export const ROOM = "interview:42";

export function createRoom({
  rules = {},
  seed = 1,
  latencyMs = 0,
}: {
  rules?: FakeRules;
  seed?: number;
  latencyMs?: number;
} = {}) {
  const platform = createFakePlatform({ seed });
  const server = createFakeServer({ platform, rules, latencyMs });
  const mutates = () => server.frames.filter(({ event, direction }) => event === "mutate" && direction === "up");
  return {
    platform,
    server,
    room: server.channel(ROOM),
    /** The mutate frames that were sent so far. */
    mutates,
    /** Their payloads. */
    sent: () => mutates().map(payloadOf),
    join: (sub: string, clock: Partial<Platform> = {}) => join(platform, server.token(sub), clock),
  };
}

export type Room = ReturnType<typeof createRoom>;

function join(platform: FakePlatform, token: string, clock: Partial<Platform>) {
  const client = createRealtimeClient({ url: "http://fake", getToken: () => token, platform: { ...platform, ...clock } });
  const channel = client.channels.getChannel({ name: ROOM });
  const notes = channel.collection<Fields>("notes");
  const conflicts: Conflict[] = [];
  const failures: MutationFailure[] = [];
  /** The contents that were shown, one after the other. */
  const shown: string[][] = [];
  client.on("conflict", (conflict) => conflicts.push(conflict));
  client.on("mutationFailed", (failure) => failures.push(failure));
  notes.snapshot.subscribe(() => shown.push(notes.snapshot.getSnapshot().records.map(({ content }) => content)));
  return {
    ...{ client, channel, notes, conflicts, failures, shown },
    note: (id: string) => notes.snapshot.getSnapshot().byId.get(id),
    status: (id: string) => notes.snapshot.getSnapshot().status.get(id),
  };
}

export interface SentMutation {
  readonly client: string;
  readonly n: number;
  readonly id: string;
  readonly at: string;
  readonly op: string;
  readonly record: string;
  readonly fields?: Readonly<Record<string, unknown>>;
  readonly sets?: Readonly<Record<string, unknown>>;
  readonly counters?: Readonly<Record<string, unknown>>;
}

export function payloadOf({ payload }: FakeFrame): SentMutation {
  return payload as SentMutation;
}

/** Whether a frame is the answer to a mutate push. */
export function isAnswer({ event, payload }: FakeFrame): boolean {
  const { response } = (payload ?? {}) as { readonly response?: { readonly n?: number } };
  return event === "phx_reply" && response?.n !== undefined;
}
