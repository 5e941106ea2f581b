import type { CSSProperties } from "react";
import { hueOf, initialsOf } from "./person.ts";

const SIZES = { sm: "size-5 text-[0.5625rem]", md: "size-7 text-2xs", lg: "size-9 text-xs" } as const;

/** Somebody's initials on their colour. Decoration: the name stands beside it, or in the label of what holds it. */
export function Avatar({ sub, name, size = "md" }: { sub: string; name: string; size?: keyof typeof SIZES }) {
  return (
    <span
      aria-hidden="true"
      style={{ "--hue": hueOf(sub) } as CSSProperties}
      className={`avatar inline-flex shrink-0 select-none items-center justify-center rounded-full font-semibold tracking-wide ${SIZES[size]}`}
    >
      {initialsOf(name)}
    </span>
  );
}
