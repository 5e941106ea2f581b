import { type ReactNode, useId, useLayoutEffect, useRef } from "react";
import { IconButton } from "./button.tsx";

/** A modal dialog: the browser's own, which keeps the focus inside and closes on Escape. It begins in its first field. */
export function Dialog({ title, onClose, children }: { title: string; onClose: () => void; children: ReactNode }) {
  const ref = useRef<HTMLDialogElement>(null);
  const titleId = useId();
  const isFromBackdrop = useRef(false);
  // Before the element leaves the page, so that closing gives the focus back to what had it.
  useLayoutEffect(() => {
    const dialog = ref.current;
    dialog?.showModal();
    dialog?.querySelector<HTMLElement>("input, textarea")?.focus(); // else the browser takes the button that closes it
    return () => dialog?.close();
  }, []);
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Escape is the keyboard's way out, and the browser's
    <dialog
      ref={ref}
      aria-labelledby={titleId}
      onCancel={(event) => {
        event.preventDefault(); // closing is the owner's: it unmounts this
        onClose();
      }}
      onPointerDown={(event) => {
        isFromBackdrop.current = event.target === event.currentTarget;
      }}
      onClick={(event) => {
        // A press that begins on a text and ends on the backdrop selects the text: it is a click on what is around both.
        if (event.target === event.currentTarget && isFromBackdrop.current) onClose();
      }}
      className="w-[min(30rem,calc(100vw-2rem))] max-h-[min(44rem,calc(100dvh-2rem))] animate-rise rounded-2xl border border-line bg-surface p-0 text-ink shadow-raised"
    >
      <div className="p-5 sm:p-6">
        <header className="mb-4 flex items-start justify-between gap-4">
          <h2 id={titleId} className="font-serif text-xl">
            {title}
          </h2>
          <IconButton icon="close" label="Close" onClick={onClose} className="-mt-1 -mr-2" />
        </header>
        {children}
      </div>
    </dialog>
  );
}
