import { type InterviewFields, useCollection } from "@chorale/react";
import { NotFound } from "../not-found.tsx";
import { NotesPanel } from "../note/notes-panel.tsx";
import type { Identity } from "../session/session.ts";
import { Bones } from "../ui/bones.tsx";
import { Empty } from "../ui/empty.tsx";
import { Page } from "../ui/page.tsx";

interface InterviewPageProps {
  projectId: string;
  interviewId: string;
  identity: Identity;
}

/** One interview: who, and the timeline of its notes. */
export function InterviewPage({ projectId, interviewId, identity }: InterviewPageProps) {
  const { byId, isLoading, error } = useCollection<InterviewFields>(`project:${projectId}`, "interviews");
  const interview = byId.get(interviewId);
  if (interview) {
    return <NotesPanel key={interviewId} projectId={projectId} interview={interview} identity={identity} />;
  }
  if (isLoading) {
    return (
      <Page title="Interview">
        <Bones rows={4} />
      </Page>
    );
  }
  if (error) {
    return (
      <main className="flex-1">
        <Empty title="This interview is closed to you">{error.message}</Empty>
      </main>
    );
  }
  return (
    <NotFound title="This interview is not here" up={{ page: "project", projectId }}>
      Perhaps somebody deleted it, or the link is not whole.
    </NotFound>
  );
}
