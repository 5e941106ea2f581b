/** Clients in the channel `room`: of a fake server, or of a server that the test plays by hand. */
import { createRealtimeClient } from "../src/client";
import { createFakePlatform, createFakeServer, type FakeFrame, type FakeRules } from "../src/testing";
import type { ChannelOptions, Message, RealtimeClientOptions, ResyncReason } from "../src/types";
import { Wire } from "./wire";

export function setUp(rules: FakeRules = {}) {
  const platform = createFakePlatform();
  const server = createFakeServer({ platform, rules });
  const up = (event: string) => server.frames.filter((frame) => frame.direction === "up" && frame.event === event);
  return {
    platform,
    server,
    up,
    room: server.channel("room"),
    joins: () => up("phx_join").length,
    /** The newest join's config. */
    config: () => configOf(up("phx_join").at(-1)),
    client: (sub: string, options: Partial<RealtimeClientOptions> = {}) =>
      createRealtimeClient({ url: "http://fake", getToken: () => server.token(sub), platform, ...options }),
  };
}

/** What a join asks for. */
export function configOf(join: FakeFrame | undefined): JoinConfig {
  if (!join) throw new Error("nobody has joined");
  return (join.payload as { config: JoinConfig }).config;
}

export interface JoinConfig {
  presence: { enabled: boolean };
  chorale: { client: string; collections: string[]; resume?: { epoch: string; offset: number; collections?: string[] } };
}

/** A client in the channel `room`, with what its listeners heard. */
export async function inRoom(options: Partial<ChannelOptions> = {}, rules: FakeRules = {}) {
  const world = setUp(rules);
  const client = world.client("ada");
  const channel = client.channels.getChannel({ name: "room", ...options });
  const heard: Message[] = [];
  const resyncs: ResyncReason[] = [];
  channel.on("*", (message) => heard.push(message));
  client.on("resync", ({ reason }) => resyncs.push(reason));
  await world.platform.advance(10);
  return {
    ...world,
    client,
    channel,
    heard,
    resyncs,
    payloads: () => heard.map((message) => message.payload),
    status: () => channel.status.getSnapshot().status,
    /** Time enough for the first attempt after a loss. */
    comeBack: () => world.platform.advance(1_000),
  };
}

export const isDown = (event: string) => (frame: FakeFrame) => frame.direction === "down" && frame.event === event;

/** How each promise ends, as it does: "waiting", then "ok" or its error's code or name. */
export function follow(promises: readonly Promise<unknown>[]): readonly string[] {
  const ends = promises.map(() => "waiting");
  promises.forEach((promise, i) => {
    promise.then(
      () => {
        ends[i] = "ok";
      },
      (error) => {
        ends[i] = error.code ?? error.name;
      },
    );
  });
  return ends;
}

/** A client that is live in `room`, whose server is the test. */
export async function byHand() {
  const platform = createFakePlatform();
  let wire: HandWire | undefined;
  platform.connectTo((url) => {
    wire = new HandWire(url);
    return wire;
  });
  const client = createRealtimeClient({ url: "http://hand", getToken: () => "token", platform });
  client.channels.getChannel({ name: "room" });
  await platform.advance(0);
  if (!wire) throw new Error("no socket was opened");
  const socket = wire;
  socket.open();
  await platform.advance(0);
  const joined = () => {
    const chorale = { epoch: "e", offset: 0, resumed: true, sub: "ada", now: platform.now(), collections: [], limits: {} };
    socket.reply(socket.pushes("phx_join").at(-1), { status: "ok", response: { chorale } });
    socket.say('[null,null,"realtime:room","synced",{"epoch":"e","offset":0,"last":0,"outcomes":[]}]');
  };
  joined();
  return { platform, client, wire: socket, joined };
}

export type Push = readonly [joinRef: string, ref: string, topic: string, event: string, payload: unknown];

class HandWire extends Wire {
  pushes(event: string): Push[] {
    return this.sent.map((text) => JSON.parse(text) as Push).filter((push) => push[3] === event);
  }

  reply(push: Push | undefined, payload: unknown): void {
    if (!push) throw new Error("nothing was pushed");
    this.say(JSON.stringify([push[0], push[1], push[2], "phx_reply", payload]));
  }
}
