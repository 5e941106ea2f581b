import type { NoteFields } from "@chorale/react";
import type { IconName } from "../ui/icons.tsx";

export type NoteKind = NonNullable<NoteFields["kind"]>;

/** The four kinds in the order of understanding: seen, heard, understood, to be done. */
export const KINDS: readonly { readonly kind: NoteKind; readonly label: string; readonly icon: IconName }[] = [
  { kind: "note", label: "Note", icon: "note" },
  { kind: "quote", label: "Quote", icon: "quote" },
  { kind: "insight", label: "Insight", icon: "insight" },
  { kind: "action", label: "Action", icon: "action" },
];

/** The kind of a note that another app made, perhaps without one. */
export function kindOf(kind: NoteFields["kind"]): (typeof KINDS)[number] {
  const [plain, ...others] = KINDS;
  return others.find((one) => one.kind === kind) ?? (plain as (typeof KINDS)[number]);
}
