import type { ProjectFields } from "@chorale/react";
import type { CSSProperties } from "react";

export type ProjectColor = NonNullable<ProjectFields["color"]>;

/** A project's colours by name, with their hues in degrees. Slate has none. */
const HUES: Readonly<Record<Exclude<ProjectColor, "slate">, number>> = {
  clay: 40,
  amber: 80,
  moss: 135,
  ocean: 230,
  plum: 330,
};

export const COLORS: readonly ProjectColor[] = ["clay", "amber", "moss", "ocean", "plum", "slate"];

/** What a swatch of a colour needs; no colour is slate. */
export function swatch(color: ProjectColor | undefined): { className: string; style?: CSSProperties } {
  if (color === undefined || color === "slate") return { className: "swatch-slate" };
  return { className: "swatch", style: { "--hue": HUES[color] } as CSSProperties };
}
