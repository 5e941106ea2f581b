import { defineCollection } from "@chorale/client/schema";
import { useCollection, useConnection, useMembers, usePresence, useRecords } from "@chorale/react";
import { type FormEvent, useState } from "react";
import { z } from "zod";

const COLUMNS = ["To do", "Doing", "Done"] as const;
type Column = (typeof COLUMNS)[number];

const cards = defineCollection("cards", z.object({ title: z.string(), column: z.enum(COLUMNS).default("To do") }));
const CHANNEL = "board:garden";

export function Board({ name }: { name: string }) {
  usePresence(CHANNEL, { name });
  const { isLoading, error, invalid, add } = useCollection(CHANNEL, cards);
  const [title, setTitle] = useState("");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (title.trim() === "") return;
    add({ title: title.trim() });
    setTitle("");
  };
  if (error) return <p role="alert">{error.message}</p>;
  return (
    <main>
      <h1>Garden</h1>
      <Status />
      <form onSubmit={submit}>
        <input aria-label="New card" value={title} maxLength={200} onChange={(event) => setTitle(event.target.value)} />
        <button type="submit">Add</button>
      </form>
      {isLoading ? (
        <p>Loading…</p>
      ) : (
        <div className="columns">
          {COLUMNS.map((column) => (
            <ColumnOf key={column} column={column} />
          ))}
        </div>
      )}
      {invalid.size > 0 && <p>{invalid.size} cards cannot be shown by this version.</p>}
    </main>
  );
}

function Status() {
  const isConnected = useConnection((connection) => connection.isConnected);
  const names = useMembers<{ name: string }, string[]>(CHANNEL, (members) => members.map(({ state }) => state.name));
  return <p role="status">{isConnected ? `Live with ${names.join(", ")}` : "Not connected: what you do is kept"}</p>;
}

/** Rendered when a card of its own changes, comes or goes. */
function ColumnOf({ column }: { column: Column }) {
  const mine = useRecords(CHANNEL, cards, ({ records }) => records.filter((card) => card.column === column));
  const { patch } = useCollection(CHANNEL, cards);
  const next = COLUMNS[COLUMNS.indexOf(column) + 1];
  return (
    <section className="column" aria-label={column}>
      <h2>
        {column} ({mine.length})
      </h2>
      {mine.map((card) => (
        <article key={card.id} className="card">
          <p>{card.title}</p>
          {next && (
            <button type="button" onClick={() => patch(card.id, { column: next })}>
              {next} →
            </button>
          )}
        </article>
      ))}
    </section>
  );
}
