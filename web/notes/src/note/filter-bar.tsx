import { useRef } from "react";
import { useShortcut } from "../keyboard/use-shortcut.ts";
import { Avatar } from "../people/avatar.tsx";
import { Icon } from "../ui/icons.tsx";
import type { Author, NoteFilter, Tag } from "./filter.ts";

interface FilterBarProps {
  /** Of all notes of the interview, whatever the filter. */
  authors: readonly Author[];
  tags: readonly Tag[];
  filter: NoteFilter;
  onChange: (filter: NoteFilter) => void;
}

/** Search, authors and tags: one line, which scrolls sideways where it is narrow. */
export function FilterBar({ authors, tags, filter, onChange }: FilterBarProps) {
  const set = (part: Partial<NoteFilter>) => onChange({ ...filter, ...part });
  return (
    <div className="flex min-w-0 items-center gap-3">
      <SearchField value={filter.search} onChange={(search) => set({ search })} />
      <div className="scroll-quiet fade-edge flex min-w-0 flex-1 items-center gap-3 overflow-x-auto py-1 pr-8 pl-0.5">
        <fieldset className="flex gap-0.5">
          <legend className="sr-only">Author</legend>
          {authors.map(({ sub, name }) => (
            <Toggle
              key={sub}
              isOn={filter.author === sub}
              label={`Only ${name}’s notes`}
              testId="filter-author"
              onToggle={(isOn) => set({ author: isOn ? sub : "" })}
              className="p-0.5"
            >
              <Avatar sub={sub} name={name} size="sm" />
            </Toggle>
          ))}
        </fieldset>
        <fieldset className="flex gap-1">
          <legend className="sr-only">Tag</legend>
          {tags.map(({ tag, count }) => (
            <Toggle
              key={tag}
              isOn={filter.tag === tag}
              label={`Only notes tagged ${tag}`}
              testId="filter-tag"
              onToggle={(isOn) => set({ tag: isOn ? tag : "" })}
              className="h-6 px-2.5 text-xs"
            >
              {tag}
              <span className="ml-1.5 text-2xs tabular-nums">{count}</span>
            </Toggle>
          ))}
        </fieldset>
      </div>
    </div>
  );
}

function SearchField({ value, onChange }: { value: string; onChange: (text: string) => void }) {
  const field = useRef<HTMLInputElement>(null);
  useShortcut("/", () => field.current?.select());
  return (
    <label className="relative shrink-0">
      <span className="sr-only">Search notes</span>
      <Icon name="search" className="pointer-events-none absolute top-2 left-2.5 size-4 text-muted" />
      <input
        ref={field}
        type="search"
        data-testid="search"
        placeholder="Search"
        value={value}
        onChange={(event) => onChange(event.target.value)}
        onKeyDown={(event) => {
          if (event.key !== "Escape") return;
          if (value === "") event.currentTarget.blur();
          else onChange("");
        }}
        className="h-8 w-28 rounded-lg border border-line bg-surface pr-2 pl-8 text-sm transition-[width] focus:w-44 focus:border-accent focus:outline-2 focus:outline-offset-0 focus:outline-accent sm:w-40 sm:focus:w-56"
      />
    </label>
  );
}

interface ToggleProps {
  isOn: boolean;
  label: string;
  testId: string;
  onToggle: (isOn: boolean) => void;
  className: string;
  children: React.ReactNode;
}

function Toggle({ isOn, label, testId, onToggle, className, children }: ToggleProps) {
  return (
    <button
      type="button"
      data-testid={testId}
      aria-pressed={isOn}
      aria-label={label}
      title={label}
      onClick={() => onToggle(!isOn)}
      className={`inline-flex shrink-0 items-center whitespace-nowrap rounded-full transition-colors ${isOn ? "bg-accent text-on-accent" : "bg-sunken text-muted hover:text-ink"} ${className}`}
    >
      {children}
    </button>
  );
}
