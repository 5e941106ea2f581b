import type { Rec } from "@chorale/client";
import type { InterviewFields } from "@chorale/react";
import { type ReactNode, useState } from "react";
import type { Person } from "../people/doing.ts";
import { FaceRow } from "../people/face-row.tsx";
import { IconButton } from "../ui/button.tsx";
import { describeInterview } from "./describe.ts";
import { InterviewDialog } from "./interview-dialog.tsx";
import { StatusBadge } from "./status.tsx";

interface InterviewHeaderProps {
  projectId: string;
  interview: Rec<InterviewFields>;
  people: readonly Person[];
  /** What can be done to the notes as a whole. */
  tools: ReactNode;
}

export function InterviewHeader({ projectId, interview, people, tools }: InterviewHeaderProps) {
  const [isEditing, setEditing] = useState(false);
  return (
    <header>
      <div className="flex items-start justify-between gap-4">
        <div className="min-w-0">
          <h1 className="font-serif wrap-anywhere text-lg leading-6 sm:text-2xl sm:leading-8">{interview.title}</h1>
          <p className="mt-0.5 flex items-center gap-x-2.5 text-sm text-muted sm:mt-1.5">
            <StatusBadge status={interview.status} />
            <span className="line-clamp-1">{describeInterview(interview, Date.now())}</span>
          </p>
        </div>
        <div className="flex shrink-0 items-center gap-2 pt-0.5">
          <FaceRow people={people} />
          {tools}
          <IconButton icon="edit" label="Edit interview" onClick={() => setEditing(true)} />
        </div>
      </div>
      {isEditing && <InterviewDialog projectId={projectId} interview={interview} onClose={() => setEditing(false)} />}
    </header>
  );
}
