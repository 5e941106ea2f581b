import { createContext, useContext } from "react";

/** Names by token `sub`, as far as the page's notes and presence tell them. */
export const NamesContext = createContext<ReadonlyMap<string, string>>(new Map());

/** Returns a function from a token's `sub` to a name for a sentence. */
export function useNameOf(): (sub: string) => string {
  const names = useContext(NamesContext);
  return (sub) => names.get(sub) ?? "Somebody";
}
