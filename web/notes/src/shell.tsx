import { usePresence } from "@chorale/react";
import { useEffect, useMemo } from "react";
import { ConnectionIndicator } from "./connection/indicator.tsx";
import { useUnsavedGuard } from "./connection/unsaved-guard.ts";
import { InterviewPage } from "./interview/interview-page.tsx";
import { HelpSheet } from "./keyboard/help-sheet.tsx";
import { Link, useRoute } from "./navigation.tsx";
import { NotFound } from "./not-found.tsx";
import { PageBoundary } from "./page-boundary.tsx";
import { peopleOf, type WorkspacePresence } from "./people/doing.ts";
import { Me } from "./people/me.tsx";
import { ProjectPage } from "./project/project-page.tsx";
import { ProjectsPage } from "./project/projects-page.tsx";
import { Sidebar } from "./project/sidebar.tsx";
import { formatRoute, parentOf, type Route } from "./route.ts";
import type { Identity, Session } from "./session/session.ts";
import { Welcome } from "./session/welcome.tsx";
import { ThemeToggle } from "./theme/theme-toggle.tsx";
import { Icon } from "./ui/icons.tsx";
import { useMedia } from "./ui/use-media.ts";

interface ShellProps {
  session: Session;
  identity: Identity;
}

/** What stands around every page: the sidebar where there is room, who we are, and how the connection is. */
export function Shell({ session, identity }: ShellProps) {
  useUnsavedGuard();
  const route = useRoute();
  const hasSidebar = useMedia("(min-width: 48rem)");
  const whereabouts = useWhereabouts(route, identity);
  return (
    <div className="flex h-full flex-col">
      <Welcome session={session} identity={identity} />
      <div className="flex min-h-0 flex-1">
        {hasSidebar && (
          <aside className="flex w-60 shrink-0 flex-col border-r border-line bg-sunken lg:w-72">
            <div className="flex h-14 items-center px-5">
              <Brand />
            </div>
            <Sidebar route={route} whereabouts={whereabouts} />
            <div className="space-y-1 border-t border-line p-3">
              <ConnectionIndicator session={session} />
              <div className="flex items-center justify-between gap-1">
                <Me session={session} identity={identity} />
                <div className="flex">
                  <HelpSheet />
                  <ThemeToggle />
                </div>
              </div>
            </div>
          </aside>
        )}
        <div className="flex min-w-0 flex-1 flex-col">
          {!hasSidebar && (
            <div className="flex h-12 shrink-0 items-center gap-1 border-b border-line bg-sunken pr-1 pl-4">
              <BackLink route={route} />
              <div className="ml-auto flex min-w-0 items-center">
                <ConnectionIndicator session={session} />
                <ThemeToggle />
                <Me session={session} identity={identity} isSmall />
              </div>
            </div>
          )}
          <PageBoundary path={formatRoute(route)}>
            <CurrentPage route={route} identity={identity} />
          </PageBoundary>
        </div>
      </div>
    </div>
  );
}

function CurrentPage({ route, identity }: { route: Route; identity: Identity }) {
  switch (route.page) {
    case "projects":
      return <ProjectsPage />;
    case "project":
      return <ProjectPage key={route.projectId} projectId={route.projectId} />;
    case "interview":
      return <InterviewPage projectId={route.projectId} interviewId={route.interviewId} identity={identity} />;
    case "not-found":
      return (
        <NotFound title="There is nothing here" up={{ page: "projects" }}>
          The address {route.path} leads nowhere.
        </NotFound>
      );
    default:
      return route satisfies never;
  }
}

/** One page up on a phone, which has no sidebar; the name of the app where there is nothing above. */
function BackLink({ route }: { route: Route }) {
  const to = parentOf(route);
  if (!to) return <Brand />;
  return (
    <Link
      to={to}
      data-testid="back-link"
      className="-ml-2 flex h-10 shrink-0 items-center gap-1 rounded-lg px-2 text-sm text-accent"
    >
      <Icon name="back" /> {to.page === "projects" ? "Projects" : "Interviews"}
    </Link>
  );
}

function Brand() {
  return (
    <Link to={{ page: "projects" }} className="flex items-center gap-2 rounded font-serif text-lg">
      <svg viewBox="0 0 20 20" className="size-5" aria-hidden="true">
        <path d="M12.9 16.2V2.5" stroke="var(--ink)" strokeWidth="1.4" strokeLinecap="round" />
        <g transform="rotate(-18 9.3 11)">
          <ellipse cx="8" cy="5.5" rx="3.4" ry="2.4" fill="var(--ink)" />
          <ellipse cx="9.3" cy="11" rx="3.4" ry="2.4" fill="var(--accent)" />
          <ellipse cx="8" cy="16" rx="3.4" ry="2.4" fill="var(--ink)" />
        </g>
      </svg>
      Interview notes
    </Link>
  );
}

/** Tells the workspace where we are, and learns where the others are: people by the interview they look at. */
function useWhereabouts(route: Route, { name, sub }: Identity) {
  const interviewId = route.page === "interview" ? route.interviewId : "";
  const { members, update } = usePresence<WorkspacePresence>("workspace:main", { name, sub, interviewId });
  useEffect(() => update({ name, sub, interviewId }), [update, name, sub, interviewId]);
  return useMemo(() => {
    const others = members.filter((member) => !member.isSelf && member.state.interviewId !== "");
    const groups = Map.groupBy(others, (member) => member.state.interviewId);
    return new Map([...groups].map(([id, group]) => [id, peopleOf(group)]));
  }, [members]);
}
