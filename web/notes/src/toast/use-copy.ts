import { useCallback } from "react";
import { useToast } from "./toast.tsx";

/** Returns a stable function that puts a text into the clipboard, and says whether it is there. */
export function useCopy(): (text: string) => void {
  const toast = useToast();
  return useCallback(
    (text) => {
      // Pages that did not come over a secure connection have no clipboard at all: inside, so that this is a refusal too.
      const copy = async () => navigator.clipboard.writeText(text);
      copy().then(
        () => toast({ text: "Copied" }),
        () => toast({ text: "The browser does not allow copying: select the text instead" }),
      );
    },
    [toast],
  );
}
