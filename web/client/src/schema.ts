/**
 * Records and messages of an app's own types, checked by the app's own schemas: anything that speaks Standard Schema, such as zod,
 * valibot and arktype.
 *
 *     const tasks = defineCollection("tasks", z.object({ title: z.string(), done: z.boolean() }));
 *     tasks.in(channel).snapshot.getSnapshot().records; // of that type; what does not fit is in `invalid`
 *
 * What comes was written by others, perhaps by another version of the app: a type alone is a hope.
 */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { ChoraleError } from "./errors";
import type {
  Channel,
  Collection,
  CollectionSnapshot,
  Json,
  Message,
  Mutation,
  Patch,
  PublishOptions,
  Rec,
  RecordMeta,
  RecordShape,
  Store,
  Unsubscribe,
} from "./types";

/** What a schema found: where (`tags.0`, empty for the whole), and what about it. */
export interface SchemaIssue {
  readonly path: string;
  readonly message: string;
}

/** A record that is there and does not fit the schema. */
export interface InvalidRecord {
  /** As the server has it. */
  readonly record: Readonly<Record<string, unknown>> & RecordMeta;
  readonly issues: readonly SchemaIssue[];
}

export interface CheckedSnapshot<T extends RecordShape> extends CollectionSnapshot<T> {
  /** By id; not among `records`. The same object until one comes or goes. */
  readonly invalid: ReadonlyMap<string, InvalidRecord>;
}

/** A collection whose records have been checked. `T` is what the schema makes of a record, `I` what may be written. */
export interface CheckedCollection<T extends RecordShape, I extends RecordShape = T> {
  readonly name: string;
  readonly snapshot: Store<CheckedSnapshot<T>>;
  add(value: I & { id?: string }): Mutation;
  patch(id: string, patch: Patch<I>, options?: { ifVersion?: number }): Mutation;
  delete(id: string): Mutation;
  restore(id: string, patch?: Patch<I>): Mutation;
  dismiss(id: string): void;
  /** For `@chorale/client/undo`. What it gives changes without notice. */
  readonly inside?: NonNullable<Collection["inside"]>;
}

/** A collection's name and what its records are. Made once, outside of components. */
export interface CollectionType<T extends RecordShape, I extends RecordShape = T> {
  readonly name: string;
  /** The collection in a channel. Each call makes one, which checks for itself: keep it. */
  in(channel: Channel): CheckedCollection<T, I>;
}

/** An event's name and what its payload is. Made once, outside of components. `P` is what the schema makes of it, `I` what may be sent. */
export interface EventType<P, I = P> {
  readonly name: string;
  /** Throws a ChoraleError `invalid_message` that says what does not fit. For handlers: `override parse = chat.parse`. */
  readonly parse: (payload: unknown) => P;
  /** Listens in a channel. What does not fit goes to `onInvalid`, and nowhere else. */
  on(
    channel: Channel,
    listener: (message: Message<P>) => void,
    onInvalid?: (error: ChoraleError, message: Message) => void,
  ): Unsubscribe;
  publish(channel: Channel, payload: I, options?: PublishOptions): ReturnType<Channel["publish"]>;
}

type RecordSchema = StandardSchemaV1<RecordShape, RecordShape>;

/**
 * Describes a collection by a schema of its fields; `id`, `version` and the like are Chorale's and not for the schema to name. Each record
 * is checked once, when it changes. A schema that answers later, by a promise, cannot be used: reading throws `schema_async`.
 */
export function defineCollection<S extends RecordSchema>(
  name: string,
  schema: S,
): CollectionType<StandardSchemaV1.InferOutput<S>, StandardSchemaV1.InferInput<S>> {
  type T = StandardSchemaV1.InferOutput<S>;
  type I = StandardSchemaV1.InferInput<S>;
  return {
    name,
    in: (channel) => {
      const collection = channel.collection<I>(name);
      return {
        name,
        snapshot: checked<T>(collection.snapshot, schema),
        add: (value) => collection.add(value),
        patch: (id, patch, options) => collection.patch(id, patch, options),
        delete: (id) => collection.delete(id),
        restore: (id, patch) => collection.restore(id, patch),
        dismiss: (id) => collection.dismiss(id),
        ...(collection.inside && { inside: collection.inside }),
      };
    },
  };
}

/** Describes a channel's event by a schema of its payload. */
export function defineEvent<S extends StandardSchemaV1>(
  name: string,
  schema: S,
): EventType<StandardSchemaV1.InferOutput<S>, StandardSchemaV1.InferInput<S>> {
  const parse = (payload: unknown): StandardSchemaV1.InferOutput<S> => {
    const found = look(schema, payload);
    if ("value" in found) return found.value;
    const [first] = found.issues;
    const where = first?.path ? `${first.path}: ` : "";
    throw new ChoraleError("invalid_message", `${name}: ${where}${first?.message ?? "does not fit"}`, { cause: found.issues });
  };
  return {
    name,
    parse,
    on: (channel, listener, onInvalid) =>
      channel.on(name, (message) => {
        let payload: StandardSchemaV1.InferOutput<S>;
        try {
          payload = parse(message.payload);
        } catch (error) {
          if (!(error instanceof ChoraleError) || error.code !== "invalid_message") throw error;
          onInvalid?.(error, message);
          return;
        }
        listener({ ...message, payload });
      }),
    // What may be sent the schema's input says; that it is JSON, the encoder.
    publish: (channel, payload, options) => channel.publish(name, payload as Json, options),
  };
}

type Found<T> = { readonly value: T } | { readonly issues: readonly SchemaIssue[] };

function look<S extends StandardSchemaV1>(schema: S, value: unknown): Found<StandardSchemaV1.InferOutput<S>> {
  const result = schema["~standard"].validate(value);
  if (result instanceof Promise) throw new ChoraleError("schema_async", "a schema has to answer at once, not by a promise");
  if (result.issues === undefined) return { value: result.value };
  const steps = (path: NonNullable<StandardSchemaV1.Issue["path"]>) =>
    path.map((step) => String(typeof step === "object" ? step.key : step)).join(".");
  return { issues: result.issues.map(({ message, path }) => ({ path: steps(path ?? []), message })) };
}

type Checked<T extends RecordShape> = { readonly fits: Rec<T> } | { readonly invalid: InvalidRecord };

function check<T extends RecordShape>(record: Rec<RecordShape>, schema: RecordSchema): Checked<T> {
  const { id, version, createdAt, createdBy, updatedAt, updatedBy, ...fields } = record;
  const found = look(schema, fields);
  if ("issues" in found) {
    return { invalid: Object.freeze({ record: record as InvalidRecord["record"], issues: found.issues }) };
  }
  const value = found.value as T; // what the schema makes, its type says
  return { fits: Object.freeze({ ...value, id, version, createdAt, createdBy, updatedAt, updatedBy }) };
}

/** A store over another: the same snapshot until the other says something else, and records checked when they change. */
function checked<T extends RecordShape>(
  source: Store<CollectionSnapshot<RecordShape>>,
  schema: RecordSchema,
): Store<CheckedSnapshot<T>> {
  const known = new WeakMap<Rec<RecordShape>, Checked<T>>();
  const sort = (all: readonly Rec<RecordShape>[]): Pick<CheckedSnapshot<T>, "records" | "byId" | "invalid"> => {
    const records: Rec<T>[] = [];
    const invalid = new Map<string, InvalidRecord>();
    for (const record of all) {
      const made = known.get(record) ?? check<T>(record, schema);
      known.set(record, made);
      if ("fits" in made) records.push(made.fits);
      else invalid.set(record.id, made.invalid);
    }
    return { records: Object.freeze(records), byId: new Map(records.map((record) => [record.id, record])), invalid };
  };
  let newest: { readonly of: CollectionSnapshot<RecordShape>; readonly snapshot: CheckedSnapshot<T> } | undefined;
  const getSnapshot = (): CheckedSnapshot<T> => {
    const of = source.getSnapshot();
    if (of === newest?.of) return newest.snapshot;
    const before = newest?.snapshot;
    const { records, byId, invalid } = before && of.records === newest?.of.records ? before : sort(of.records);
    const same = before && isSameMap(before.invalid, invalid) ? before.invalid : invalid;
    const snapshot = Object.freeze({ ...of, records, byId, invalid: same });
    newest = { of, snapshot };
    return snapshot;
  };
  return { getSnapshot, subscribe: source.subscribe };
}

function isSameMap<K, V>(a: ReadonlyMap<K, V>, b: ReadonlyMap<K, V>): boolean {
  return a.size === b.size && [...a].every(([key, value]) => b.get(key) === value);
}
