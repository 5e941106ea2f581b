import { createRealtimeClient } from "@chorale/client";
import { createFakePlatform, createFakeServer } from "@chorale/client/testing";

export async function twoPeople() {
  const platform = createFakePlatform({ seed: 1 });
  const server = createFakeServer({ platform });
  const open = (sub: string) => createRealtimeClient({ url: "http://fake", getToken: () => server.token(sub), platform });
  const ada = open("ada").channels.getChannel({ name: "project:123" }).collection<{ title: string }>("tasks");
  const ben = open("ben").channels.getChannel({ name: "project:123" }).collection<{ title: string }>("tasks");

  await platform.advance(10);
  server.unreachable(true);
  server.kill();
  ada.add({ title: "Written on the train" });
  server.unreachable(false);
  await platform.advance(30_000); // no waiting: the clock is turned

  return { shown: ben.snapshot.getSnapshot().records.map((task) => task.title), errors: platform.errors };
}
