import { type Note, RealtimeProvider, useInterviewNotesRealtime, useRealtime } from "@chorale/react";
import { memo } from "react";

export function App({ getToken }: { getToken: () => Promise<string> }) {
  return (
    <RealtimeProvider url="http://127.0.0.1:4000" getToken={getToken}>
      <Interview id="42" />
    </RealtimeProvider>
  );
}

function Interview({ id }: { id: string }) {
  const { pendingCount } = useRealtime();
  const { notes, isLoading, isConnected, addNote, deleteNote, noteStatus } = useInterviewNotesRealtime(id);
  if (isLoading) return <p>Loading…</p>;
  return (
    <section>
      <p>{isConnected ? "Live" : `Offline, ${pendingCount} unsent`}</p>
      <ul>
        {notes.map((note) => (
          <Row key={note.id} note={note} refused={noteStatus(note.id)?.failed?.outcome.status} onDelete={deleteNote} />
        ))}
      </ul>
      <button
        type="button"
        onClick={() => addNote({ content: "Pricing is confusing", timestampMs: 61_000, authorName: "Ada" })}
      >
        Add
      </button>
    </section>
  );
}

/** Rendered again only when its own note changes: an unchanged note is the same object, and so is `deleteNote`. */
const Row = memo(({ note, refused, onDelete }: { note: Note; refused: string | undefined; onDelete: (id: string) => void }) => (
  <li>
    {note.content} {refused && <em>not saved: {refused}</em>}
    <button type="button" onClick={() => onDelete(note.id)}>
      Delete
    </button>
  </li>
));
