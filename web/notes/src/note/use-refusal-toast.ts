import type { MutationFailure } from "@chorale/client";
import { useCallback } from "react";
import { useToast } from "../toast/toast.tsx";
import { useCopy } from "../toast/use-copy.ts";
import { describeElsewhere, describeRefusal } from "./refusal-text.ts";

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
