import { createRealtimeClient, type RealtimeClientOptions } from "@chorale/client";

interface Todo {
  title: string;
  done: boolean;
}

/** What was a channel, a select and a merge. */
export function openTodos(options: RealtimeClientOptions, room: string, render: (todos: readonly Todo[]) => void) {
  const client = createRealtimeClient(options);
  const channel = client.channels.getChannel({ name: `list:${room}`, presence: true });
  const todos = channel.collection<Todo>("todos");
  const show = () => render(todos.snapshot.getSnapshot().records);
  todos.snapshot.subscribe(show);
  show();

  channel.on<{ text: string }>("chat", ({ payload }) => console.log(payload.text));
  return {
    add: (title: string) => todos.add({ title, done: false }),
    say: (text: string) => channel.publish("chat", { text }),
    close: () => client.close(),
  };
}
