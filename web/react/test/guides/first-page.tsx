import { defineCollection } from "@chorale/client/schema";
import { RealtimeProvider, useCollection, useConnection } from "@chorale/react";
import { type FormEvent, useState } from "react";
import { z } from "zod";

const tasks = defineCollection("tasks", z.object({ title: z.string(), done: z.boolean().default(false) }));

export function App({ url, getToken }: { url: string; getToken: () => Promise<string> }) {
  return (
    <RealtimeProvider url={url} getToken={getToken}>
      <Tasks project="garden" />
    </RealtimeProvider>
  );
}

function Tasks({ project }: { project: string }) {
  const { records, isLoading, error, add, patch } = useCollection(`list:${project}`, tasks);
  const isConnected = useConnection((connection) => connection.isConnected);
  const [title, setTitle] = useState("");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    add({ title });
    setTitle("");
  };
  if (error) return <p role="alert">{error.message}</p>;
  if (isLoading) return <p>Loading…</p>;
  return (
    <main>
      <p role="status">{isConnected ? "Live" : "Not connected: what you write is kept"}</p>
      <ul>
        {records.map((task) => (
          <li key={task.id}>
            <label>
              <input type="checkbox" checked={task.done} onChange={() => patch(task.id, { done: !task.done })} /> {task.title}
            </label>
          </li>
        ))}
      </ul>
      <form onSubmit={submit}>
        <input aria-label="What is to be done" value={title} onChange={(event) => setTitle(event.target.value)} />
        <button type="submit">Add</button>
      </form>
    </main>
  );
}
