import { type InterviewFields, type Project, useCollection, useProjects } from "@chorale/react";
import { useState } from "react";
import { StatusDot } from "../interview/status.tsx";
import { Link } from "../navigation.tsx";
import { Avatar } from "../people/avatar.tsx";
import type { Person } from "../people/doing.ts";
import type { Route } from "../route.ts";
import { IconButton } from "../ui/button.tsx";
import { ProjectDialog } from "./project-dialog.tsx";
import { Swatch } from "./swatch.tsx";

interface SidebarProps {
  route: Route;
  /** Who looks at which interview, by its id. */
  whereabouts: ReadonlyMap<string, readonly Person[]>;
}

/** Projects, and the interviews of the one that is open. */
export function Sidebar({ route, whereabouts }: SidebarProps) {
  const { projects, isLoading } = useProjects();
  const [isMaking, setMaking] = useState(false);
  const openId = "projectId" in route ? route.projectId : undefined;
  return (
    <nav aria-label="Projects" className="min-h-0 flex-1 overflow-y-auto px-3 py-2">
      <div className="flex items-center justify-between pl-2">
        <h2 className="text-xs font-medium text-muted">Projects</h2>
        <IconButton icon="add" label="New project" onClick={() => setMaking(true)} />
      </div>
      {isLoading && <div className="bone mx-2 mt-3 h-4 w-2/3" />}
      <ul className="space-y-0.5">
        {projects.map((project) => (
          <ProjectItem
            key={project.id}
            project={project}
            isOpen={project.id === openId}
            route={route}
            whereabouts={whereabouts}
          />
        ))}
      </ul>
      {isMaking && <ProjectDialog onClose={() => setMaking(false)} />}
    </nav>
  );
}

function ProjectItem({ project, isOpen, route, whereabouts }: SidebarProps & { project: Project; isOpen: boolean }) {
  return (
    <li>
      <Link
        to={{ page: "project", projectId: project.id }}
        data-testid="project-link"
        aria-current={isOpen && route.page === "project" ? "page" : undefined}
        className="flex items-baseline gap-2.5 rounded-lg px-2 py-1.5 text-sm font-medium hover:bg-line/60 aria-[current]:bg-line/80"
      >
        <Swatch color={project.color} />
        <span className="min-w-0 wrap-anywhere">{project.name}</span>
      </Link>
      {isOpen && <InterviewItems projectId={project.id} route={route} whereabouts={whereabouts} />}
    </li>
  );
}

function InterviewItems({ projectId, route, whereabouts }: SidebarProps & { projectId: string }) {
  const { records } = useCollection<InterviewFields>(`project:${projectId}`, "interviews");
  const currentId = route.page === "interview" ? route.interviewId : undefined;
  return (
    <ul className="mt-0.5 mb-2 space-y-0.5">
      {records.map((interview) => (
        <li key={interview.id}>
          <Link
            to={{ page: "interview", projectId, interviewId: interview.id }}
            data-testid="interview-link"
            aria-current={interview.id === currentId ? "page" : undefined}
            className="flex items-center gap-2.5 rounded-lg py-1.5 pr-2 pl-2 text-sm text-muted hover:bg-line/60 hover:text-ink aria-[current]:bg-surface aria-[current]:text-ink aria-[current]:shadow-xs"
          >
            <span className="flex w-2.5 shrink-0 justify-center" title={interview.status}>
              <StatusDot status={interview.status} />
              <span className="sr-only">{interview.status}</span>
            </span>
            <span className="min-w-0 flex-1 truncate">{interview.title}</span>
            <SmallFaces people={whereabouts.get(interview.id) ?? []} />
          </Link>
        </li>
      ))}
    </ul>
  );
}

function SmallFaces({ people }: { people: readonly Person[] }) {
  if (people.length === 0) return null;
  return (
    <span className="flex -space-x-1" title={people.map((person) => person.name).join(", ")}>
      {people.slice(0, 3).map((person) => (
        <Avatar key={person.sub} sub={person.sub} name={person.name} size="sm" />
      ))}
    </span>
  );
}
