import { useMemo } from "react";
import type { Project, ProjectFields } from "./interviews.ts";
import { type UseCollection, useCollection } from "./use-collection.ts";

export interface UseProjects extends Pick<UseCollection<ProjectFields>, "isLoading" | "error"> {
  /** In the order they were made. */
  readonly projects: readonly Project[];
  readonly addProject: UseCollection<ProjectFields>["add"];
  readonly updateProject: UseCollection<ProjectFields>["patch"];
  readonly deleteProject: UseCollection<ProjectFields>["delete"];
  readonly restoreProject: UseCollection<ProjectFields>["restore"];
}

/** The workspace's projects: the collection `projects` of the channel `workspace:main`. */
export function useProjects(): UseProjects {
  const {
    records,
    isLoading,
    error,
    add,
    patch,
    delete: remove,
    restore,
  } = useCollection<ProjectFields>("workspace:main", "projects");
  return useMemo(
    () => ({
      projects: records,
      isLoading,
      error,
      addProject: add,
      updateProject: patch,
      deleteProject: remove,
      restoreProject: restore,
    }),
    [records, isLoading, error, add, patch, remove, restore],
  );
}
