import { type Project, useProjects } from "@chorale/react";
import { type FormEvent, useState } from "react";
import { navigate } from "../navigation.tsx";
import { Button } from "../ui/button.tsx";
import { changed } from "../ui/changed.ts";
import { Dialog } from "../ui/dialog.tsx";
import { Field, TextArea, TextInput } from "../ui/field.tsx";
import { COLORS, type ProjectColor } from "./colors.ts";
import { Swatch } from "./swatch.tsx";

const NEW: { name: string; description: string; color: ProjectColor } = { name: "", description: "", color: "clay" };

/** Makes a project, or changes one. */
export function ProjectDialog({ project, onClose }: { project?: Project; onClose: () => void }) {
  const { addProject, updateProject } = useProjects();
  const [before] = useState({ ...NEW, ...project });
  const [name, setName] = useState(before.name);
  const [description, setDescription] = useState(before.description);
  const [color, setColor] = useState(before.color);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const fields = { name: name.trim(), description: description.trim(), color };
    if (fields.name === "") return;
    onClose();
    const edits = changed(before, fields);
    if (!project) navigate({ page: "project", projectId: addProject(fields).recordId });
    else if (Object.keys(edits).length > 0) updateProject(project.id, edits);
  };
  return (
    <Dialog title={project ? "Project" : "New project"} onClose={onClose}>
      <form onSubmit={submit} className="space-y-4">
        <Field label="Name">
          <TextInput
            required
            maxLength={120}
            data-testid="project-name"
            value={name}
            onChange={(event) => setName(event.target.value)}
            placeholder="Ferry booking, autumn study"
          />
        </Field>
        <Field label="Question" hint="What do you want to find out?">
          <TextArea maxLength={2000} value={description} onChange={(event) => setDescription(event.target.value)} />
        </Field>
        <fieldset>
          <legend className="mb-1.5 text-sm font-medium">Colour</legend>
          <div className="flex gap-1">
            {COLORS.map((one) => (
              <label
                key={one}
                title={one}
                className="rounded-full p-1.5 outline-accent has-checked:outline-2 has-focus-visible:bg-sunken"
              >
                <input type="radio" name="color" checked={one === color} onChange={() => setColor(one)} className="sr-only" />
                <Swatch color={one} size="size-5 block" />
                <span className="sr-only">{one}</span>
              </label>
            ))}
          </div>
        </fieldset>
        <Button look="primary" type="submit" data-testid="project-save" className="w-full">
          {project ? "Save" : "Create project"}
        </Button>
      </form>
    </Dialog>
  );
}
