import type { ReactNode } from "react";

/** A page, or part of one, that has nothing to show: what is so, why, and what to do. */
export function Empty({ title, children, action }: { title: string; children: ReactNode; action?: ReactNode }) {
  return (
    <div className="mx-auto flex max-w-sm animate-rise flex-col items-center px-6 py-16 text-center">
      <svg viewBox="0 0 96 56" className="mb-6 w-24 text-line-strong" fill="none" stroke="currentColor" aria-hidden="true">
        <path d="M4 12h88M4 20h88M4 28h88M4 36h88M4 44h88" strokeWidth="1" />
        <g fill="var(--paper)" strokeWidth="1.5">
          <ellipse cx="26" cy="36" rx="5.5" ry="4" />
          <ellipse cx="48" cy="28" rx="5.5" ry="4" />
          <ellipse cx="70" cy="20" rx="5.5" ry="4" stroke="var(--accent)" fill="var(--accent)" />
        </g>
      </svg>
      <h2 className="font-serif text-xl">{title}</h2>
      <p className="mt-2 text-sm text-muted">{children}</p>
      {action && <div className="mt-5 flex flex-wrap justify-center gap-2">{action}</div>}
    </div>
  );
}
