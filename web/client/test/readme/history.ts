import { type HistorySource, readHistory } from "@chorale/client/history";

interface Task {
  title: string;
  done: boolean;
}

/** The titles that a task has had, newest first; null stands for what the log no longer holds. */
export async function titlesOf(source: HistorySource, recordId: string): Promise<(string | null)[]> {
  const query = { channel: "project:123", collection: "tasks", recordId };
  const { versions, isComplete } = await readHistory<Task>(source, query); // source: { url, getToken }
  const titles = versions.flatMap(({ changed, wrote }) => (changed.includes("title") ? [String(wrote.title)] : []));
  return [...titles.reverse(), ...(isComplete ? [] : [null])];
}
