import { type KeyboardEvent, useState } from "react";
import { Icon } from "../ui/icons.tsx";
import { MAX_TAGS, mergeTags, splitTags } from "./tags.ts";

interface NoteTagsProps {
  tags: readonly string[];
  onChange: (tags: readonly string[]) => void;
}

/** A note's tags, and a field for more. */
export function NoteTags({ tags, onChange }: NoteTagsProps) {
  return (
    <ul data-testid="note-tags" aria-label="Tags" className="mt-1.5 flex flex-wrap items-center gap-1.5">
      {tags.map((tag) => (
        <li
          key={tag}
          data-tag={tag}
          className="group/tag relative inline-flex h-6 items-center rounded-full bg-ink/6 px-2.5 text-xs text-muted pointer-coarse:pr-0.5"
        >
          {tag}
          <button
            type="button"
            data-testid="tag-remove"
            aria-label={`Remove the tag ${tag}`}
            onClick={() => onChange(tags.filter((other) => other !== tag))}
            className="inline-flex size-6 items-center justify-center rounded-full hover:text-danger pointer-fine:absolute pointer-fine:top-0 pointer-fine:right-0 pointer-fine:bg-line pointer-fine:opacity-0 pointer-fine:group-hover/tag:opacity-100 pointer-fine:focus-visible:opacity-100"
          >
            <Icon name="close" className="size-2.5" />
          </button>
        </li>
      ))}
      {tags.length < MAX_TAGS && (
        <li>
          <TagField isQuiet={tags.length > 0} onAdd={(more) => onChange(mergeTags(tags, more))} />
        </li>
      )}
    </ul>
  );
}

/** Enter, a comma and leaving take the tag; Escape forgets it. Quiet, it shows itself only on the note that is pointed at. */
function TagField({ isQuiet, onAdd }: { isQuiet: boolean; onAdd: (tags: readonly string[]) => void }) {
  const [text, setText] = useState("");
  const add = () => {
    const tags = splitTags(text);
    setText("");
    if (tags.length > 0) onAdd(tags);
  };
  const onKeyDown = (event: KeyboardEvent<HTMLInputElement>) => {
    if (event.key === "Escape") {
      setText("");
      event.currentTarget.blur();
    } else if (event.key === "Enter" || event.key === ",") {
      event.preventDefault();
      add();
    }
  };
  return (
    <input
      data-testid="tag-add"
      aria-label="Add a tag"
      list="known-tags"
      placeholder="+ tag"
      value={text}
      onChange={(event) => setText(event.target.value)}
      onKeyDown={onKeyDown}
      onBlur={add}
      className={`h-6 w-14 rounded-full border border-dashed border-line-strong bg-transparent px-2.5 text-xs transition-[width,opacity] focus:w-32 focus:border-solid focus:border-accent focus:bg-surface focus:outline-none ${isQuiet ? "pointer-fine:opacity-0 pointer-fine:group-hover:opacity-100 pointer-fine:group-focus-within:opacity-100" : ""}`}
    />
  );
}
