import type { MutationFailure } from "@chorale/client";
import { useCallback } from "react";
import { describeElsewhere, describeRefusal } from "../note/refusal-text.ts";
import { useToast } from "./toast.tsx";
import { useCopy } from "./use-copy.ts";

/** Returns a stable function that says in passing what the server refused, and why, and offers what was written. */
export function useRefusalToast(): (failure: MutationFailure) => void {
  const toast = useToast();
  const copy = useCopy();
  return useCallback(
    (failure) => {
      const { text } = describeRefusal(failure);
      const action = { label: "Copy what I wrote", testId: "toast-copy", run: () => copy(text) };
      toast({ text: describeElsewhere(failure), ...(text ? { action } : {}) });
    },
    [toast, copy],
  );
}
