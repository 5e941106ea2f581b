import { type ReactNode, useEffect } from "react";

interface PageProps {
  title: string;
  /** Above the title, in small: what kind of page this is. */
  kicker?: ReactNode;
  /** Beside the title: what can be done. */
  aside?: ReactNode;
  children: ReactNode;
}

/** A page that is read from top to bottom. */
export function Page({ title, kicker, aside, children }: PageProps) {
  usePageTitle(title);
  return (
    <main className="min-h-0 flex-1 overflow-y-auto">
      <div className="mx-auto w-full max-w-4xl px-4 pt-6 pb-16 sm:px-8 md:pt-10">
        <header className="mb-8 flex flex-wrap items-end justify-between gap-x-6 gap-y-4">
          <div className="min-w-0">
            {kicker}
            <h1 className="font-serif wrap-anywhere text-2xl sm:text-3xl">{title}</h1>
          </div>
          {aside}
        </header>
        {children}
      </div>
    </main>
  );
}

/** What the browser's tab says. */
export function usePageTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · Interview notes`;
  }, [title]);
}
