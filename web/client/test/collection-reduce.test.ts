import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Content, type Operation, reduce } from "../src/collection/reduce";
import type { WireRecord } from "../src/collection/wire";
import { formatTime } from "../src/hlc";
import type { Json, MutationOp } from "../src/types";

type Hlc = readonly [ms: number, counter: number, client: string];

interface VectorOp {
  readonly t: "create" | "set" | "tag" | "delete" | "restore";
  readonly rid: string;
  readonly hlc: Hlc;
  readonly fields?: Record<string, Json>;
  readonly f?: string;
  readonly v?: Json;
  readonly tag?: string;
  readonly on?: boolean;
}

interface Vector {
  readonly name: string;
  readonly ops: readonly VectorOp[];
  readonly results: readonly string[];
  readonly views: Readonly<Record<string, Json>>;
}

const vectors: Vector[] = JSON.parse(
  readFileSync(new URL("../../../conformance/collections/reducer.json", import.meta.url), "utf8"),
);
const EMPTY: Content = { fields: {}, sets: {}, counters: {} };
const AUTHOR = { subject: "ada", now: 1 };

const stampOf = ([ms, counter, client]: Hlc) => `${formatTime(ms, counter)}@${client}`;

/** The mapping of conformance/collections/README.md. */
function operationOf({ t, rid: record, fields = {}, f = "", v = null, tag = "", on = false }: VectorOp): Operation {
  switch (t) {
    case "create":
      return { ...EMPTY, op: "put", record, fields };
    case "set":
      return { ...EMPTY, op: "patch", record, fields: { [f]: v } };
    case "tag":
      return { ...EMPTY, op: "patch", record, sets: { tags: { [tag]: on } } };
    default:
      return { ...EMPTY, op: t, record };
  }
}

function viewOf(record: WireRecord | undefined): Json {
  if (record === undefined || record.deleted !== undefined) return null;
  return { id: record.id, ...record.fields, tags: [...(record.sets?.tags ?? [])].sort() };
}

describe("reduce", () => {
  it("[M2 M3] there are 310 cases that Go reads too", () => {
    expect(vectors).toHaveLength(310);
  });

  it.each(vectors)("[M2 M3] $name", ({ ops, results, views }) => {
    const records = new Map<string, WireRecord | undefined>();
    const statuses = ops.map((op) => {
      const result = reduce(records.get(op.rid), operationOf(op), stampOf(op.hlc), AUTHOR);
      records.set(op.rid, result.record);
      return result.status === "applied" ? "ok" : result.status;
    });
    expect(statuses).toEqual(results);
    expect(Object.fromEntries(Object.keys(views).map((id) => [id, viewOf(records.get(id))]))).toEqual(views);
  });

  const put = (fields: Record<string, Json>, stamp = "1") =>
    reduce(undefined, { ...EMPTY, op: "put", record: "r", fields }, stamp, AUTHOR).record;
  const write = (record: WireRecord | undefined, op: MutationOp, content: Partial<Content>, stamp: string) =>
    reduce(record, { ...EMPTY, ...content, op, record: "r" }, stamp, { subject: "ben", now: 2 });

  it("[M3] a patch of which some fields lose is applied, and names them", () => {
    const result = write(
      write(put({ a: 1, b: 1 }), "patch", { fields: { a: 2 } }, "5").record,
      "patch",
      { fields: { a: 3, b: 3 } },
      "4",
    );
    expect(result).toMatchObject({ status: "applied", lost: ["a"], record: { fields: { a: 2, b: 3 } } });
  });

  it("[M2] elements of a set merge one by one; counters add", () => {
    const tagged = write(put({}), "patch", { sets: { tags: { x: true, y: true } }, counters: { votes: 2 } }, "3").record;
    const result = write(tagged, "patch", { sets: { tags: { x: false, z: true } }, counters: { votes: -1 } }, "2");
    expect(result).toMatchObject({
      status: "applied",
      lost: ["tags"],
      record: { sets: { tags: ["x", "y", "z"] }, counters: { votes: 1 } },
    });
  });

  it("[M3] an empty patch is noop, and one that loses everything is superseded", () => {
    expect(write(put({ a: 1 }, "9"), "patch", {}, "5").status).toBe("noop");
    expect(write(put({ a: 1 }, "9"), "patch", { fields: { a: 2 } }, "5").status).toBe("superseded");
  });

  it("[M6] metadata says who wrote last, and who made it", () => {
    expect(write(put({ a: 1 }), "patch", { fields: { a: 2 } }, "5").record).toMatchObject({
      ...{ createdBy: "ada", createdAt: 1, updatedBy: "ben", updatedAt: 2 },
    });
  });

  it("takes names like __proto__ and constructor for names", () => {
    const fields: Record<string, Json> = JSON.parse('{"__proto__":"x","constructor":"y","toString":1}');
    const record = put(fields);
    expect(Object.entries(record?.fields ?? {})).toEqual(Object.entries(fields));
    const again = write(record, "patch", { fields: JSON.parse('{"__proto__":"z"}') }, "5");
    expect(again.status).toBe("applied");
    expect(Object.entries(again.record?.fields ?? {})).toContainEqual(["__proto__", "z"]);
  });

  it("changes none of its arguments", () => {
    const freeze = <V>(value: V): V => {
      if (typeof value === "object" && value !== null) for (const part of Object.values(Object.freeze(value))) freeze(part);
      return value;
    };
    const ops = fc.constantFrom<MutationOp>("put", "patch", "delete", "restore");
    const content = fc.record({
      fields: fc.dictionary(fc.constantFrom("a", "b"), fc.integer()),
      sets: fc.dictionary(fc.constantFrom("s", "t"), fc.dictionary(fc.constantFrom("x", "y"), fc.boolean())),
      counters: fc.dictionary(fc.constantFrom("n"), fc.integer()),
    });
    fc.assert(
      fc.property(fc.array(fc.tuple(ops, content, fc.constantFrom("1", "2", "3", "4"))), (writes) => {
        let record: WireRecord | undefined;
        for (const [op, part, stamp] of writes) {
          const result = reduce(freeze(record), freeze({ ...part, op, record: "r" }), stamp, AUTHOR);
          expect(result.status === "applied" || result.record === record).toBe(true);
          record = result.record;
        }
      }),
    );
  });
});
