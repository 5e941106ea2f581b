import type { Rec } from "@chorale/client";
import { type InterviewFields, useCollection } from "@chorale/react";
import { type FormEvent, useState } from "react";
import { navigate } from "../navigation.tsx";
import { Button } from "../ui/button.tsx";
import { changed } from "../ui/changed.ts";
import { Dialog } from "../ui/dialog.tsx";
import { Field, TextArea, TextInput } from "../ui/field.tsx";
import { STATUSES } from "./status.tsx";

interface InterviewDialogProps {
  projectId: string;
  /** The one to change; without, a new one is made. */
  interview?: Rec<InterviewFields>;
  onClose: () => void;
}

const NEW: InterviewFields = { title: "", status: "planned" };

export function InterviewDialog({ projectId, interview, onClose }: InterviewDialogProps) {
  const { add, patch } = useCollection<InterviewFields>(`project:${projectId}`, "interviews");
  const { title, participant = "", role = "", status, summary = "" } = interview ?? NEW;
  const [before] = useState({ title, participant, role, status, summary });
  const [fields, setFields] = useState(before);
  const set = (part: Partial<typeof fields>) => setFields((now) => ({ ...now, ...part }));

  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (fields.title.trim() === "") return;
    onClose();
    const edits = changed(before, fields);
    if (!interview) navigate({ page: "interview", projectId, interviewId: add(fields).recordId });
    else if (Object.keys(edits).length > 0) patch(interview.id, edits);
  };

  return (
    <Dialog title={interview ? "Interview" : "New interview"} onClose={onClose}>
      <form onSubmit={submit} className="space-y-4">
        <Field label="Title">
          <TextInput
            required
            maxLength={160}
            data-testid="interview-title"
            value={fields.title}
            onChange={(event) => set({ title: event.target.value })}
            placeholder="Ingrid, who crosses every week"
          />
        </Field>
        <div className="grid gap-4 sm:grid-cols-2">
          <Field label="Participant">
            <TextInput
              maxLength={120}
              value={fields.participant}
              onChange={(event) => set({ participant: event.target.value })}
            />
          </Field>
          <Field label="What they do">
            <TextInput maxLength={160} value={fields.role} onChange={(event) => set({ role: event.target.value })} />
          </Field>
        </div>
        <StatusField value={fields.status} onChange={(value) => set({ status: value })} />
        {interview && (
          <Field label="Summary" hint="What did you take from it?">
            <TextArea maxLength={4000} value={fields.summary} onChange={(event) => set({ summary: event.target.value })} />
          </Field>
        )}
        <Button look="primary" type="submit" data-testid="interview-save" className="w-full">
          {interview ? "Save" : "Create interview"}
        </Button>
      </form>
    </Dialog>
  );
}

type Status = InterviewFields["status"];

function StatusField({ value, onChange }: { value: Status; onChange: (status: Status) => void }) {
  return (
    <fieldset>
      <legend className="mb-1 text-sm font-medium">Status</legend>
      <div className="grid grid-cols-3 gap-1 rounded-lg bg-sunken p-1">
        {STATUSES.map(([status, label]) => (
          <label
            key={status}
            className="rounded-md py-1.5 text-center text-sm text-muted has-checked:bg-surface has-checked:font-medium has-checked:text-ink has-focus-visible:outline-2 has-focus-visible:outline-accent"
          >
            <input
              type="radio"
              name="status"
              checked={status === value}
              onChange={() => onChange(status)}
              className="sr-only"
            />
            {label}
          </label>
        ))}
      </div>
    </fieldset>
  );
}
