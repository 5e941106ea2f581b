import type { Json } from "../types";

/** A value of an object that came from outside: names like `constructor` are not found on its prototype. */
export function own<V>(map: Readonly<Record<string, V>> | undefined, name: string): V | undefined {
  return map !== undefined && Object.hasOwn(map, name) ? map[name] : undefined;
}

/** Whether two values are the same JSON. The order of an object's names does not matter. */
export function isSameJson(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const names = Object.keys(a);
  if (names.length !== Object.keys(b).length) return false;
  const other = b as Record<string, unknown>;
  return names.every((name) => Object.hasOwn(b, name) && isSameJson((a as Record<string, unknown>)[name], other[name]));
}

/**
 * The value as it travels, frozen: a copy, so that what is shown is what was sent, whatever the app does with its object later.
 * Undefined for what JSON cannot say.
 */
export function toJson(value: unknown): Json | undefined {
  if (typeof value === "string" || typeof value === "boolean" || value === null) return value;
  const text = JSON.stringify(value);
  return text === undefined ? undefined : freeze(JSON.parse(text) as Json);
}

/** Freezes a value and all in it. */
export function freeze<V>(value: V): V {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const part of Object.values(value)) freeze(part);
  }
  return value;
}

/** Length in UTF-8, in bytes. */
export function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}
