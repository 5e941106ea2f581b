import { type ProjectColor, swatch } from "./colors.ts";

/** A project's colour as a dot. */
export function Swatch({ color, size = "size-2.5" }: { color: ProjectColor | undefined; size?: string }) {
  const { className, style } = swatch(color);
  return <span aria-hidden="true" className={`inline-block shrink-0 rounded-full ${size} ${className}`} style={style} />;
}
