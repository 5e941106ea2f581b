/** Reads a parameter of the page's address and takes it out, so that a reload or a shared link does not mean it again. */
export function takeParameter(name: string): string | undefined {
  const url = new URL(window.location.href);
  const value = url.searchParams.get(name)?.trim();
  if (!value) return undefined;
  url.searchParams.delete(name);
  history.replaceState(history.state, "", url);
  return value;
}

/** The same for one that says something by being there. */
export function takeFlag(name: string): boolean {
  const url = new URL(window.location.href);
  if (!url.searchParams.has(name)) return false;
  url.searchParams.delete(name);
  history.replaceState(history.state, "", url);
  return true;
}
