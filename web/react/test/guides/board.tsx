import type { Conflict } from "@chorale/client";
import { useCollection, useConflicts } from "@chorale/react";
import { useState } from "react";

interface Card {
  title: string;
}

export function Board({ channel }: { channel: string }) {
  const { records, status, patch, dismiss } = useCollection<Card>(channel, "cards");
  const [conflict, setConflict] = useState<Conflict>();
  useConflicts(setConflict);

  const keepMine = ({ recordId, field, mine }: Conflict) => {
    patch(recordId, { [field]: mine });
    setConflict(undefined);
  };
  return (
    <section>
      {records.map((card) => {
        const failed = status.get(card.id)?.failed;
        return (
          <article key={card.id}>
            <input value={card.title} aria-label="Title" onChange={(event) => patch(card.id, { title: event.target.value })} />
            {failed && (
              <p role="alert">
                Not saved ({failed.outcome.status}): {String(failed.fields.title)}
                <button type="button" onClick={() => dismiss(card.id)}>
                  Let it go
                </button>
              </p>
            )}
          </article>
        );
      })}
      {conflict && (
        <p role="alert">
          Somebody wrote “{String(conflict.theirs)}” over your “{String(conflict.mine)}”.
          <button type="button" onClick={() => keepMine(conflict)}>
            Keep mine
          </button>
          <button type="button" onClick={() => setConflict(undefined)}>
            Keep theirs
          </button>
        </p>
      )}
    </section>
  );
}
