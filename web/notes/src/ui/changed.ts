/** The fields of `after` that differ from those of `before`: a form writes what somebody changed, and leaves the rest to the others. */
export function changed<T extends object>(before: Partial<T>, after: T): Partial<T> {
  const entries = Object.entries(after).filter(([name, value]) => (before as Record<string, unknown>)[name] !== value);
  return Object.fromEntries(entries) as Partial<T>;
}
