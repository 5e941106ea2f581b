import { createRealtimeClient, type RealtimeClientOptions } from "@chorale/client";

interface Task {
  title: string;
  done: boolean;
  tags: readonly string[];
}

export function openProject(options: RealtimeClientOptions) {
  const client = createRealtimeClient(options); // { url: "http://127.0.0.1:4000", getToken: () => … }
  const { channels: channelManager } = client;
  const channel = channelManager.getChannel({ name: "project:123", presence: true, ack: true });

  // Messages: one order for everybody, kept while disconnected, each logged once.
  channel.on<{ text: string }>("chat", ({ payload }) => console.log(payload.text));
  const sent = channel.publish("chat", { text: "Hello" });

  // Presence: who is here, and what they say of themselves.
  channel.presence.set({ name: "Ada", cursor: null });
  channel.presence.members.subscribe(() => console.log(channel.presence.members.getSnapshot()));

  // Records: changed at once, merged by the server, shown alike to everybody.
  const tasks = channel.collection<Task>("tasks");
  const { recordId, settled } = tasks.add({ title: "Ship it", done: false, tags: [] });
  tasks.patch(recordId, { tags: ["today"] });

  return { client, channel, tasks, sent, settled };
}
