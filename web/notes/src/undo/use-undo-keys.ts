import { useEffect, useEffectEvent } from "react";
import type { Direction } from "./undo-text.ts";

/**
 * Ctrl or Cmd + Z, with Shift or as Ctrl + Y the other way.
 *
 * A field with text in it keeps these keys: there they take back what was typed, as everywhere. So does a field that was emptied by
 * hand. One that is empty because its text was sent has nothing of its own to take back, so there the keys are the page's: who has
 * just written a note can take it back without leaving the field.
 */
export function useUndoKeys(act: (which: Direction) => void): void {
  const onKey = useEffectEvent((event: KeyboardEvent, emptied: WeakSet<EventTarget>) => {
    const which = directionOf(event);
    if (which === undefined || event.defaultPrevented || document.querySelector("dialog[open]")) return;
    if (event.target && (hasText(event.target) || emptied.has(event.target))) return;
    event.preventDefault();
    act(which);
  });
  useEffect(() => {
    const emptied = new WeakSet<EventTarget>();
    const onInput = ({ target }: Event) => {
      if (target === null) return;
      if (hasText(target)) emptied.delete(target);
      else emptied.add(target);
    };
    const listener = (event: KeyboardEvent) => onKey(event, emptied);
    window.addEventListener("keydown", listener);
    window.addEventListener("input", onInput, true);
    return () => {
      window.removeEventListener("keydown", listener);
      window.removeEventListener("input", onInput, true);
    };
  }, []);
}

function directionOf({ key, ctrlKey, metaKey, altKey, shiftKey }: KeyboardEvent): Direction | undefined {
  if (ctrlKey === metaKey || altKey) return undefined;
  if (key.toLowerCase() === "z") return shiftKey ? "redo" : "undo";
  return key.toLowerCase() === "y" && ctrlKey && !shiftKey ? "redo" : undefined;
}

function hasText(target: EventTarget): boolean {
  if (target instanceof HTMLTextAreaElement) return target.value !== "";
  if (target instanceof HTMLInputElement) return target.value !== "" && !["radio", "checkbox"].includes(target.type);
  return target instanceof HTMLElement && target.isContentEditable;
}
