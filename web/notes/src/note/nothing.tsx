import { Bones } from "../ui/bones.tsx";
import { Button } from "../ui/button.tsx";
import { Empty } from "../ui/empty.tsx";

interface NothingProps {
  isLoading: boolean;
  /** The server does not let this person in. */
  isRefused: boolean;
  isLive: boolean;
  hasNotes: boolean;
  hasMatches: boolean;
  /** Shows all notes again. */
  onClear: () => void;
}

/** What stands in the timeline while no note does, and why. */
export function Nothing({ isLoading, isRefused, isLive, hasNotes, hasMatches, onClear }: NothingProps) {
  if (isLoading) return <Bones rows={hasNotes ? 1 : 4} />; // also above own notes that were written before the others came
  if (hasMatches) return null;
  if (hasNotes) {
    return (
      <Empty title="No note matches" action={<Button onClick={onClear}>Show all notes</Button>}>
        Try fewer words, or another tag.
      </Empty>
    );
  }
  if (isRefused)
    return <Empty title="These notes are closed to you">The server’s rules do not let you read this interview.</Empty>;
  if (isLive) {
    return (
      <Empty title="Listening">
        Start the clock when the recording starts. Each note takes the time at which you began to write it.
      </Empty>
    );
  }
  return (
    <Empty title="No notes yet">
      Write down what you saw, what was said, what it means and what follows. The others see it as you press Enter.
    </Empty>
  );
}
