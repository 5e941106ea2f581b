import type { HistorySource } from "@chorale/client/history";
import { createContext } from "react";

/** Where the past of a note is asked for. */
export const HistorySourceContext = createContext<HistorySource | undefined>(undefined);
