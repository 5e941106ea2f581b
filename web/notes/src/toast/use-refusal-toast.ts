import { useClientEvent } from "@chorale/react";
import { describeRefusal } from "../note/refusal-text.ts";
import { useToast } from "./toast.tsx";

/** Says that the server refused a write to a project or an interview; notes have a place of their own for that. */
export function useRefusalToast(): void {
  const toast = useToast();
  useClientEvent("mutationFailed", (failure) => {
    if (failure.collection === "notes") return;
    const { headline, reason, text } = describeRefusal(failure);
    const copy = { label: "Copy what I wrote", run: () => void navigator.clipboard.writeText(text) };
    toast({ text: `${headline}: ${reason}`, ...(text ? { action: copy } : {}) });
  });
}
