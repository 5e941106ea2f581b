/** Where in the app somebody is. Every page has a path, so that it can be bookmarked, shared and gone back to. */
export type Route =
  | { readonly page: "projects" }
  | { readonly page: "project"; readonly projectId: string }
  | { readonly page: "interview"; readonly projectId: string; readonly interviewId: string }
  | { readonly page: "not-found"; readonly path: string };

/** What an id may look like: it becomes part of a channel's name. A link may bring anything. */
const ID = /^[\w.~-]{1,200}$/;

/** Reads a path such as `/p/7/i/42`. A path that means nothing is a page too: `not-found`. */
export function parseRoute(path: string): Route {
  const parts = path.split("/").filter((part) => part !== "");
  const [p, projectId, i, interviewId] = parts.map(decode);
  if (parts.length === 0) return { page: "projects" };
  if (p !== "p" || !isId(projectId)) return { page: "not-found", path };
  if (parts.length === 2) return { page: "project", projectId };
  if (i === "i" && isId(interviewId) && parts.length === 4) return { page: "interview", projectId, interviewId };
  return { page: "not-found", path };
}

/** The path of a route: `parseRoute(formatRoute(route))` is the same route. */
export function formatRoute(route: Route): string {
  switch (route.page) {
    case "projects":
      return "/";
    case "project":
      return `/p/${encodeURIComponent(route.projectId)}`;
    case "interview":
      return `/p/${encodeURIComponent(route.projectId)}/i/${encodeURIComponent(route.interviewId)}`;
    case "not-found":
      return route.path;
    default:
      return route satisfies never;
  }
}

/** The page above this one, for going back on a phone. */
export function parentOf(route: Route): Route | undefined {
  switch (route.page) {
    case "interview":
      return { page: "project", projectId: route.projectId };
    case "project":
    case "not-found":
      return { page: "projects" };
    default:
      return undefined;
  }
}

function isId(text: string | undefined): text is string {
  return text !== undefined && ID.test(text);
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return ""; // a stray % matches no route
  }
}
