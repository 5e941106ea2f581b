import { useBroadcast, useClient } from "@chorale/react";
import { type PointerEvent, useEffect, useRef, useState } from "react";

interface Cursor {
  from: string;
  x: number;
  y: number;
}
/** How often a cursor is sent, and how long one is shown without a word, in ms. */
const EVERY_MS = 50;
const STALE_MS = 3_000;

export function Cursors({ channel, now = Date.now }: { channel: string; now?: () => number }) {
  const { clientId } = useClient();
  const [cursors, setCursors] = useState<ReadonlyMap<string, Cursor & { at: number }>>(new Map());
  const send = useBroadcast<Cursor>(channel, "cursor", ({ payload }) =>
    setCursors((before) => new Map(before).set(payload.from, { ...payload, at: now() })),
  );

  const sentAt = useRef(0);
  const onPointerMove = ({ clientX, clientY }: PointerEvent) => {
    if (now() - sentAt.current < EVERY_MS) return;
    sentAt.current = now();
    void send({ from: clientId, x: clientX, y: clientY }, { ephemeral: true });
  };

  useEffect(() => {
    const timer = setInterval(
      () => setCursors((all) => new Map([...all].filter(([, { at }]) => now() - at < STALE_MS))),
      STALE_MS / 2,
    );
    return () => clearInterval(timer);
  }, [now]);

  return (
    <div onPointerMove={onPointerMove} style={{ position: "relative", height: 300 }} data-testid="board">
      {[...cursors.values()].map(({ from, x, y }) => (
        <span key={from} style={{ position: "absolute", left: x, top: y }} data-testid="cursor">
          ↖
        </span>
      ))}
    </div>
  );
}
