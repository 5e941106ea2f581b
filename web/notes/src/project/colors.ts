import type { CSSProperties } from "react";

/** A project's colours by name, with their hues in degrees. Slate has none. */
const HUES: Readonly<Record<string, number>> = { clay: 40, amber: 80, moss: 135, ocean: 230, plum: 330 };

export const COLORS: readonly string[] = [...Object.keys(HUES), "slate"];

/** What a swatch of a colour needs; a name that nobody knows is slate. */
export function swatch(color: string | undefined): { className: string; style?: CSSProperties } {
  const hue = HUES[color ?? ""];
  return hue === undefined ? { className: "swatch-slate" } : { className: "swatch", style: { "--hue": hue } as CSSProperties };
}
