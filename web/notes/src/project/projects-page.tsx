import { type Project, useProjects } from "@chorale/react";
import { useState } from "react";
import { Link } from "../navigation.tsx";
import { Bones } from "../ui/bones.tsx";
import { Button } from "../ui/button.tsx";
import { Empty } from "../ui/empty.tsx";
import { Icon } from "../ui/icons.tsx";
import { Page } from "../ui/page.tsx";
import { ProjectDialog } from "./project-dialog.tsx";
import { Swatch } from "./swatch.tsx";

/** All projects: the front page. */
export function ProjectsPage() {
  const { projects, isLoading, error } = useProjects();
  const [isMaking, setMaking] = useState(false);
  const isMissing = !isLoading && projects.length === 0;
  const make = (
    <Button look="primary" onClick={() => setMaking(true)} data-testid="project-add">
      <Icon name="add" /> New project
    </Button>
  );
  return (
    <Page title="Projects" aside={projects.length > 0 && make}>
      {isMissing && error && <p className="rounded-lg bg-danger-soft px-3 py-2 text-sm text-danger">{error.message}</p>}
      {isLoading && <Bones rows={2} />}
      {isMissing && !error && (
        <Empty title="Begin with a question" action={make}>
          A project is one study: what you want to find out, and the people you ask. Your team sees it at once.
        </Empty>
      )}
      <ul className="grid gap-4 lg:grid-cols-2">
        {projects.map((project) => (
          <ProjectCard key={project.id} project={project} />
        ))}
      </ul>
      {isMaking && <ProjectDialog onClose={() => setMaking(false)} />}
    </Page>
  );
}

function ProjectCard({ project }: { project: Project }) {
  return (
    <li>
      <Link
        to={{ page: "project", projectId: project.id }}
        data-testid="project-link"
        className="block h-full rounded-xl border border-line bg-surface p-5 transition-colors hover:border-line-strong"
      >
        <h2 className="flex items-baseline gap-2.5 font-serif text-xl">
          <Swatch color={project.color} />
          <span className="min-w-0 wrap-anywhere">{project.name}</span>
        </h2>
        {project.description && <p className="mt-2 text-sm text-muted wrap-anywhere">{project.description}</p>}
      </Link>
    </li>
  );
}
