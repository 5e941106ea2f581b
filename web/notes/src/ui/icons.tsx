/** Strokes of 1.5 px on a grid of 16, drawn for this app. Icons say nothing to a screen reader: the button they are in does. */
const PATHS = {
  add: "M8 3v10M3 8h10",
  back: "M9.5 3.5 5 8l4.5 4.5",
  check: "m3.5 8.5 3 3 6-7",
  close: "m4 4 8 8M12 4l-8 8",
  copy: "M6 5.5h7v8H6zM10 5.5v-3H3v8h3",
  edit: "m3 13 .7-3L10.5 3.2l2.3 2.3L6 12.3z",
  filter: "M2.5 4.5h11M4.5 8h7M6.5 11.5h3",
  help: "M6 6.2a2 2 0 1 1 2.8 1.9c-.6.3-.8.7-.8 1.4M8 12v.1",
  history: "M3.2 5.5a5.5 5.5 0 1 1-.6 3.3M3 2.5v3.2h3.2M8 5v3.2l2.2 1.4",
  moon: "M13 9.5A5.5 5.5 0 0 1 6.5 3 5.5 5.5 0 1 0 13 9.5z",
  note: "M3 4h10M3 8h10M3 12h6",
  quote: "M6.5 4.5C4.5 5.3 3.5 6.8 3.5 9v2.5h3V8.5h-1.3M12.5 4.5c-2 .8-3 2.3-3 4.5v2.5h3V8.5h-1.3",
  insight: "M6 12.5h4M6.5 14.5h3M5.8 10.5C4.6 9.7 4 8.5 4 7.2a4 4 0 0 1 8 0c0 1.3-.6 2.5-1.8 3.3z",
  action: "M3 3h10v10H3zM5.5 8l2 2 3.5-4",
  pause: "M5.5 4v8M10.5 4v8",
  redo: "M13 6.5H6.5a3.5 3.5 0 0 0 0 7H10M10.5 3.5l3 3-3 3",
  search: "M7 11.5a4.5 4.5 0 1 1 0-9 4.5 4.5 0 0 1 0 9zM10.5 10.5l3 3",
  send: "M8 13V3.5M4 7.2 8 3.2l4 4",
  sun: "M8 10.8a2.8 2.8 0 1 1 0-5.6 2.8 2.8 0 0 1 0 5.6zM8 1.5v1.2M8 13.3v1.2M1.5 8h1.2M13.3 8h1.2M3.4 3.4l.9.9M11.7 11.7l.9.9M12.6 3.4l-.9.9M4.3 11.7l-.9.9",
  trash: "M3 4.5h10M6 4.5v-2h4v2M4.3 4.5l.6 9h6.2l.6-9",
  undo: "M3 6.5h6.5a3.5 3.5 0 0 1 0 7H6M5.5 3.5l-3 3 3 3",
  warning: "M8 2.5 14 13H2zM8 6.5V9.5M8 11.3v.1",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, className = "size-4" }: { name: IconName; className?: string }) {
  return (
    <svg
      viewBox="0 0 16 16"
      className={`shrink-0 ${className}`}
      fill="none"
      stroke="currentColor"
      strokeWidth="1.5"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}
