import { useState } from "react";
import { IconButton } from "../ui/button.tsx";
import { Dialog } from "../ui/dialog.tsx";
import { useShortcut } from "./use-shortcut.ts";

const SHORTCUTS: readonly (readonly [keys: readonly string[], does: string])[] = [
  [["n"], "Write a note"],
  [["r"], "Start or pause the recording clock"],
  [["j", "k"], "Next, previous note"],
  [["e"], "Edit the note"],
  [["h"], "History of the note"],
  [["Del"], "Delete the note"],
  [["Ctrl + Z"], "Undo what you did last; with Shift, redo"],
  [["z"], "What a message offers"],
  [["/"], "Search"],
  [["Enter"], "Save what you write; Shift + Enter begins a line"],
  [["Esc"], "Leave a field; your text stays"],
  [["t"], "Light or dark"],
  [["Alt + Shift + D"], "Look into the connection"],
  [["?"], "This list"],
];

/** The keys of the app, behind a button and `?`. */
export function HelpSheet() {
  const [isOpen, setOpen] = useState(false);
  useShortcut("?", () => setOpen(true));
  return (
    <>
      <IconButton icon="help" label="Keyboard shortcuts" onClick={() => setOpen(true)} className="pointer-coarse:hidden" />
      {isOpen && (
        <Dialog title="Keyboard" onClose={() => setOpen(false)}>
          <dl className="grid grid-cols-[auto_1fr] items-baseline gap-x-5 gap-y-2.5 text-sm">
            {SHORTCUTS.map(([keys, does]) => (
              <div key={does} className="contents">
                <dt className="flex gap-1">
                  {keys.map((key) => (
                    <kbd
                      key={key}
                      className="min-w-6 rounded-md border border-line-strong bg-paper px-1.5 text-center font-sans text-xs leading-5"
                    >
                      {key}
                    </kbd>
                  ))}
                </dt>
                <dd className="text-muted">{does}</dd>
              </div>
            ))}
          </dl>
        </Dialog>
      )}
    </>
  );
}
