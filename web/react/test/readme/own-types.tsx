import { defineCollection, defineEvent } from "@chorale/client/schema";
import { useBroadcast, useCollection, useRecords } from "@chorale/react";
import { z } from "zod";

const tasks = defineCollection("tasks", z.object({ title: z.string(), done: z.boolean().default(false) }));
const wave = defineEvent("wave", z.object({ from: z.string() }));

export function Tasks({ project, onWave }: { project: string; onWave: (from: string) => void }) {
  const channel = `project:${project}`;
  const { records, invalid, add, patch } = useCollection(channel, tasks);
  const open = useRecords(channel, tasks, ({ records }) => records.filter((task) => !task.done).length);
  const sayHello = useBroadcast(channel, wave, ({ payload }) => onWave(payload.from));
  return (
    <section>
      <h2>{open} open</h2>
      {records.map((task) => (
        <label key={task.id}>
          <input type="checkbox" checked={task.done} onChange={() => patch(task.id, { done: !task.done })} /> {task.title}
        </label>
      ))}
      {invalid.size > 0 && <p>{invalid.size} tasks of another version of this app are not shown.</p>}
      <button type="button" onClick={() => add({ title: "Ship it" })}>
        Add
      </button>
      <button type="button" onClick={() => sayHello({ from: "Ada" })}>
        Wave
      </button>
    </section>
  );
}
