import type { ReactNode } from "react";
import { Link } from "./navigation.tsx";
import type { Route } from "./route.ts";
import { Empty } from "./ui/empty.tsx";
import { usePageTitle } from "./ui/page.tsx";

/** What is shown instead of something that is not there. */
export function NotFound({ title, up, children }: { title: string; up: Route; children: ReactNode }) {
  usePageTitle("Not found");
  return (
    <main className="flex-1 overflow-y-auto" data-testid="not-found">
      <Empty
        title={title}
        action={
          <Link to={up} className="text-sm text-accent underline underline-offset-3">
            {up.page === "projects" ? "All projects" : "Back to the project"}
          </Link>
        }
      >
        {children}
      </Empty>
    </main>
  );
}
