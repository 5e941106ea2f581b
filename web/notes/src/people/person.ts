/** Up to two letters that stand for a name: the first of its first and last words. */
export function initialsOf(name: string): string {
  const words = name
    .trim()
    .split(/\s+/)
    .filter((word) => /[\p{L}\p{N}]/u.test(word));
  const first = words[0];
  const last = words.length > 1 ? words.at(-1) : undefined;
  return (letterOf(first) + letterOf(last)).toUpperCase() || "?";
}

function letterOf(word: string | undefined): string {
  return /[\p{L}\p{N}]/u.exec(word ?? "")?.[0] ?? "";
}

/** How many hues there are: as many as stay apart from one another. */
const HUES = 12;

/** The hue of somebody's avatar, in degrees: the same on every screen, because it follows from who they are (token `sub`). */
export function hueOf(sub: string): number {
  let hash = 2166136261; // FNV-1a
  for (const char of sub) hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 16777619);
  return ((hash >>> 8) % HUES) * (360 / HUES);
}

/** `Ada`, `Ada and Ben`, `Ada, Ben and 2 others`. */
export function listNames(names: readonly string[]): string {
  const [a, b, ...rest] = names;
  if (a === undefined) return "";
  if (b === undefined) return a;
  if (rest.length === 0) return `${a} and ${b}`;
  return `${a}, ${b} and ${rest.length === 1 ? (rest[0] ?? "") : `${rest.length} others`}`;
}
