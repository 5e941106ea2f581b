import { type OpenWorkspace, openWorkspace, type Project } from "@chorale/client/notes";
import { useMemo } from "react";
import { sourceOf } from "./held-store.ts";
import type { Opening } from "./holds.ts";
import { NONE, useHeld, useWrites } from "./use-store.ts";

type Snapshot = ReturnType<OpenWorkspace["store"]["getSnapshot"]>;

export interface UseProjects extends Pick<Snapshot, "isLoading" | "error"> {
  /** In the order they were made. */
  readonly projects: readonly Project[];
  readonly addProject: OpenWorkspace["addProject"];
  readonly updateProject: OpenWorkspace["updateProject"];
  readonly deleteProject: OpenWorkspace["deleteProject"];
  readonly restoreProject: OpenWorkspace["restoreProject"];
}

const WORKSPACE: Opening<OpenWorkspace> = {
  key: "workspace",
  open: openWorkspace,
  close: (workspace) => workspace.close(),
};
const STORE = /* @__PURE__ */ sourceOf((workspace: OpenWorkspace) => workspace.store);
const LOADING: Snapshot = /* @__PURE__ */ Object.freeze({
  projects: Object.freeze([]),
  byId: NONE,
  status: NONE,
  isLoading: true,
  isConnected: false,
  error: undefined,
});

/** The workspace's projects, and what can be done to them. The functions are stable. */
export function useProjects(): UseProjects {
  const { projects, isLoading, error } = useHeld(WORKSPACE, STORE, LOADING);
  const write = useWrites(WORKSPACE);
  const actions = useMemo(
    (): Omit<UseProjects, "projects" | "isLoading" | "error"> => ({
      addProject: (project) => write("add a project", (workspace) => workspace.addProject(project)),
      updateProject: (...args) => write("update a project", (workspace) => workspace.updateProject(...args)),
      deleteProject: (id) => write("delete a project", (workspace) => workspace.deleteProject(id)),
      restoreProject: (...args) => write("restore a project", (workspace) => workspace.restoreProject(...args)),
    }),
    [write],
  );
  return useMemo(() => ({ projects, isLoading, error, ...actions }), [projects, isLoading, error, actions]);
}
