import { createContext, type ReactNode, useCallback, useContext, useEffect, useState } from "react";
import { useShortcut } from "../keyboard/use-shortcut.ts";
import { Button } from "../ui/button.tsx";

/** How long a toast stays, in ms: long enough to read it and to reach its button. Pointing at it keeps it, and so does the focus. */
const STAY_MS = 8_000;

export interface Toast {
  readonly text: string;
  /** Something to do about it, once. */
  readonly action?: { readonly label: string; readonly testId?: string; readonly run: () => void };
}

const ToastContext = createContext<(toast: Toast) => void>(() => {});

/** Returns a stable function that tells something in passing. A new toast takes the place of the old one. */
export function useToast(): (toast: Toast) => void {
  return useContext(ToastContext);
}

export function ToastProvider({ children }: { children: ReactNode }) {
  const [shown, setShown] = useState<{ toast: Toast; n: number }>();
  const show = useCallback((toast: Toast) => setShown((before) => ({ toast, n: (before?.n ?? 0) + 1 })), []);
  const hide = useCallback(() => setShown((before) => before && undefined), []);
  return (
    <ToastContext value={show}>
      {children}
      <div
        role="status"
        className="pointer-events-none fixed inset-x-0 bottom-0 z-30 flex justify-center p-4 pb-[calc(var(--foot-height,0px)+1.5rem)]"
      >
        {shown && <ToastCard key={shown.n} toast={shown.toast} onDone={hide} />}
      </div>
    </ToastContext>
  );
}

function ToastCard({ toast, onDone }: { toast: Toast; onDone: () => void }) {
  const [isPointedAt, setPointedAt] = useState(false);
  const [isFocused, setFocused] = useState(false);
  const isHeld = isPointedAt || isFocused;
  const act = () => {
    toast.action?.run();
    onDone();
  };
  useShortcut("z", act, toast.action !== undefined);
  useEffect(() => {
    if (isHeld) return;
    const timer = setTimeout(onDone, STAY_MS);
    return () => clearTimeout(timer);
  }, [isHeld, onDone]);
  return (
    <div
      data-testid="toast"
      onPointerEnter={() => setPointedAt(true)}
      onPointerLeave={() => setPointedAt(false)}
      className="pointer-events-auto flex animate-rise items-center gap-3 rounded-xl bg-ink px-4 py-2.5 text-sm text-paper shadow-raised"
    >
      <span className="min-w-0 wrap-anywhere">{toast.text}</span>
      {toast.action && (
        <Button
          look="link"
          data-testid={toast.action.testId}
          aria-keyshortcuts="z"
          onClick={act}
          onFocus={() => setFocused(true)}
          onBlur={() => setFocused(false)}
          className="shrink-0 font-semibold text-paper! hover:text-paper!"
        >
          {toast.action.label}
        </Button>
      )}
    </div>
  );
}
