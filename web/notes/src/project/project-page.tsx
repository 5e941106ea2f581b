import { type Interview, type InterviewFields, type Project, useCollection, useProjects } from "@chorale/react";
import { type ReactNode, useState } from "react";
import { describeInterview } from "../interview/describe.ts";
import { InterviewDialog } from "../interview/interview-dialog.tsx";
import { StatusBadge } from "../interview/status.tsx";
import { Link } from "../navigation.tsx";
import { NotFound } from "../not-found.tsx";
import { Bones } from "../ui/bones.tsx";
import { Button, IconButton } from "../ui/button.tsx";
import { Empty } from "../ui/empty.tsx";
import { Icon } from "../ui/icons.tsx";
import { Page } from "../ui/page.tsx";
import { ProjectDialog } from "./project-dialog.tsx";
import { Swatch } from "./swatch.tsx";

/** One project: its question and its interviews. */
export function ProjectPage({ projectId }: { projectId: string }) {
  const { projects, isLoading } = useProjects();
  const project = projects.find((one) => one.id === projectId);
  if (project) return <Found project={project} />;
  if (isLoading) return <Loading />;
  return (
    <NotFound title="This project is not here" up={{ page: "projects" }}>
      Perhaps somebody deleted it, or the link is not whole.
    </NotFound>
  );
}

function Loading() {
  return (
    <Page title="Project">
      <Bones rows={3} />
    </Page>
  );
}

function Found({ project }: { project: Project }) {
  const [isOpen, setOpen] = useState<"interview" | "project">();
  const close = () => setOpen(undefined);
  const make = (
    <Button look="primary" onClick={() => setOpen("interview")} data-testid="interview-add">
      <Icon name="add" /> New interview
    </Button>
  );
  const kicker = (
    <p className="mb-1.5 flex items-center gap-2 text-sm text-muted">
      <Swatch color={project.color} /> Project
      <IconButton icon="edit" label="Edit project" onClick={() => setOpen("project")} className="-my-2" />
    </p>
  );
  return (
    <Page title={project.name} kicker={kicker} aside={make}>
      {project.description && (
        <p className="-mt-4 mb-10 max-w-2xl font-serif text-lg text-muted wrap-anywhere">{project.description}</p>
      )}
      <Interviews projectId={project.id} make={make} />
      {isOpen === "interview" && <InterviewDialog projectId={project.id} onClose={close} />}
      {isOpen === "project" && <ProjectDialog project={project} onClose={close} />}
    </Page>
  );
}

function Interviews({ projectId, make }: { projectId: string; make: ReactNode }) {
  const { records, isLoading, error } = useCollection<InterviewFields>(`project:${projectId}`, "interviews");
  if (isLoading) return <Bones rows={3} />;
  if (records.length === 0) {
    if (error) return <p className="rounded-lg bg-danger-soft px-3 py-2 text-sm text-danger">{error.message}</p>;
    return (
      <Empty title="Nobody asked yet" action={make}>
        Plan the first interview. While it runs, everybody writes into one timeline.
      </Empty>
    );
  }
  return (
    <ul className="divide-y divide-line border-y border-line">
      {records.map((interview) => (
        <InterviewRow key={interview.id} projectId={projectId} interview={interview} />
      ))}
    </ul>
  );
}

function InterviewRow({ projectId, interview }: { projectId: string; interview: Omit<Interview, "projectId"> }) {
  return (
    <li>
      <Link
        to={{ page: "interview", projectId, interviewId: interview.id }}
        data-testid="interview-link"
        className="group -mx-3 block rounded-lg px-3 py-4 transition-colors hover:bg-sunken"
      >
        <div className="flex items-baseline justify-between gap-4">
          <h2 className="min-w-0 font-serif wrap-anywhere text-lg group-hover:text-accent">{interview.title}</h2>
          <StatusBadge status={interview.status} />
        </div>
        <p className="mt-0.5 text-sm text-muted wrap-anywhere">{describeInterview(interview, Date.now())}</p>
        {interview.summary && <p className="mt-2 max-w-2xl text-sm wrap-anywhere">{interview.summary}</p>}
      </Link>
    </li>
  );
}
