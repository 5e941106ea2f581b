import type { Inspection, Inspector } from "@chorale/client/devtools";
import { type KeyboardEvent, type ReactNode, useId, useRef, useState } from "react";
import { useStore } from "../use-store.ts";
import { ChannelsSection, ConnectionSection, MessagesSection, TroublesSection, WritesSection } from "./sections.tsx";

interface Tab {
  readonly name: string;
  readonly Section: (inspection: Inspection) => ReactNode;
  count?(inspection: Inspection): number;
  /** A count that somebody should look at. */
  readonly isUrgent?: boolean;
}

const TABS: readonly Tab[] = [
  { name: "Connection", Section: ConnectionSection },
  { name: "Channels", Section: ChannelsSection, count: ({ channels }) => channels.length },
  { name: "Writes", Section: WritesSection, count: ({ pendingCount }) => pendingCount, isUrgent: true },
  { name: "Messages", Section: MessagesSection },
  { name: "Troubles", Section: TroublesSection, count: ({ troubles }) => troubles.length, isUrgent: true },
];
/** A café, another continent, a train. ms each way. */
const LATENCIES = [0, 100, 400, 2_000];

export function Panel({ inspector, onClose }: { inspector: Inspector; onClose: () => void }) {
  const inspection = useStore(inspector.store, inspector.store.getSnapshot());
  const [chosen, setChosen] = useState(0);
  const id = useId();
  const tab = TABS[chosen];
  return (
    <section
      className="panel"
      aria-label="Chorale devtools"
      onKeyDown={(event) => {
        if (event.key === "Escape") onClose();
      }}
    >
      <Bar inspection={inspection} inspector={inspector} onClose={onClose} />
      <TabList id={id} chosen={chosen} onChoose={setChosen} inspection={inspection} />
      {tab && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so keys have to reach it
        <div className="body" role="tabpanel" id={`${id}-body`} aria-labelledby={`${id}-${chosen}`} tabIndex={0} key={tab.name}>
          <tab.Section {...inspection} />
        </div>
      )}
    </section>
  );
}

interface BarProps {
  inspection: Inspection;
  inspector: Inspector;
  onClose: () => void;
}

function Bar({ inspection: { connection, isOffline, addedLatencyMs }, inspector, onClose }: BarProps) {
  return (
    <header className="bar">
      <span className="status" role="status">
        <span className="dot" data-status={connection.status} />
        {connection.status}
        {connection.latencyMs !== undefined && <span className="muted">{connection.latencyMs} ms</span>}
      </span>
      <label className="toggle">
        <input type="checkbox" checked={isOffline} onChange={(event) => inspector.setOffline(event.target.checked)} />
        Offline
      </label>
      <label className="toggle" data-on={addedLatencyMs > 0}>
        Latency
        <select value={addedLatencyMs} onChange={(event) => inspector.setLatency(Number(event.target.value))}>
          {LATENCIES.map((ms) => (
            <option key={ms} value={ms}>
              {ms === 0 ? "as it is" : `+ ${ms} ms each way`}
            </option>
          ))}
        </select>
      </label>
      <button type="button" className="button end" onClick={() => inspector.clear()}>
        Clear
      </button>
      <button type="button" className="button" onClick={onClose} aria-label="Close devtools">
        Close
      </button>
    </header>
  );
}

interface TabListProps {
  id: string;
  chosen: number;
  onChoose: (nth: number) => void;
  inspection: Inspection;
}

/** Arrow keys go from tab to tab, as in all tab lists; Tab goes on to what the tab shows. */
function TabList({ id, chosen, onChoose, inspection }: TabListProps) {
  const list = useRef<HTMLDivElement>(null);
  const onKeyDown = (event: KeyboardEvent) => {
    const last = TABS.length - 1;
    const to = { ArrowRight: chosen + 1, ArrowLeft: chosen - 1, Home: 0, End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const next = to < 0 ? last : to > last ? 0 : to;
    onChoose(next);
    list.current?.querySelectorAll<HTMLElement>('[role="tab"]')[next]?.focus();
  };
  return (
    <div className="tabs" role="tablist" aria-label="What to look at" ref={list} onKeyDown={onKeyDown}>
      {TABS.map(({ name, count, isUrgent = false }, nth) => {
        const n = count?.(inspection) ?? 0;
        return (
          <button
            key={name}
            type="button"
            role="tab"
            className="tab"
            id={`${id}-${nth}`}
            aria-selected={nth === chosen}
            aria-controls={`${id}-body`}
            tabIndex={nth === chosen ? 0 : -1}
            onClick={() => onChoose(nth)}
          >
            {name}
            {n > 0 && (
              <span className="count" data-urgent={isUrgent}>
                {n}
              </span>
            )}
          </button>
        );
      })}
    </div>
  );
}
