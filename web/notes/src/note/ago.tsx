import { createContext, useContext } from "react";
import { formatAgo } from "./time.ts";

/** The time for all cards of a page, ms since 1970: one timer, and only these few letters render when it ticks. */
export const NowContext = createContext(0);

/** How long ago something was. */
export function Ago({ at }: { at: number }) {
  const now = useContext(NowContext);
  const date = new Date(at);
  return (
    <time dateTime={date.toISOString()} title={date.toLocaleString()} className="whitespace-nowrap">
      {formatAgo(at, now)}
    </time>
  );
}
