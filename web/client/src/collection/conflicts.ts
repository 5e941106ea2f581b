import type { Conflict, Json } from "../types";
import type { Transition } from "./base";
import { isSameJson, own } from "./json";
import type { WireChange, WireRecord } from "./wire";
import type { Write } from "./write";

/** A conflict, but for where it is. */
export type FieldConflict = Pick<Conflict, "recordId" | "field" | "mine" | "theirs" | "by">;

/** What a settled write of `subject` has lost to others. `lost` names the fields and sets; `record` is what it lost to. */
export function lostBy(
  write: Write,
  lost: readonly string[],
  record: WireRecord | undefined,
  subject: string,
): FieldConflict[] {
  return lost.flatMap((field) => {
    const mine = own(write.written, field);
    const theirs = own(record?.fields, field) ?? own(record?.sets, field);
    if (isSameJson(mine, theirs)) return [];
    const by = authorOf(record, field);
    return [{ recordId: write.record, field, mine, theirs, ...(by !== undefined && by !== subject && { by }) }];
  });
}

/** Who wrote a field, when that can be known: a record says only who wrote in it last. */
function authorOf(record: WireRecord | undefined, field: string): string | undefined {
  const stamp = own(record?.stamps, field);
  if (record === undefined || stamp === undefined) return undefined;
  return Object.values(record.stamps).every((other) => other <= stamp) ? record.updatedBy : undefined;
}

/**
 * The fields of one collection that this client wrote last, to notice who writes over them without having seen that. Fields that are
 * not changed by anybody are forgotten with the store.
 */
export class OwnFields {
  /** By record and field: the stamp that the field got, and the offset of the write. */
  readonly #written = new Map<string, Map<string, { readonly stamp: string; readonly offset: number }>>();

  /** An own write was applied. */
  note(record: WireRecord, write: Write, offset: number, clientId: string): void {
    const fields = this.#written.get(record.id) ?? new Map();
    for (const field of Object.keys(write.fields)) {
      const stamp = own(record.stamps, field);
      if (stamp?.endsWith(`@${clientId}`)) fields.set(field, { stamp, offset });
    }
    if (fields.size > 0) this.#written.set(record.id, fields);
  }

  /** Somebody else's change was applied: which own writes did it cover whose author it had not seen? */
  overriddenBy(change: WireChange, { before, after }: Transition): FieldConflict[] {
    const fields = this.#written.get(change.record);
    if (fields === undefined || before === undefined || after === undefined || change.op === "delete") return [];
    const found: FieldConflict[] = [];
    for (const [field, { stamp, offset }] of fields) {
      if (own(after.stamps, field) === stamp) continue;
      fields.delete(field);
      const [mine, theirs]: (Json | undefined)[] = [own(before.fields, field), own(after.fields, field)];
      const isMine = own(before.stamps, field) === stamp;
      if (!isMine || (change.base ?? 0) >= offset || isSameJson(mine, theirs)) continue;
      found.push({ recordId: change.record, field, mine, theirs, by: change.by });
    }
    if (fields.size === 0) this.#written.delete(change.record);
    return found;
  }
}
