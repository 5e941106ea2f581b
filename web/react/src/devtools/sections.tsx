import type { ChannelSeen, FrameSeen, Inspection, Trouble } from "@chorale/client/devtools";
import { useState } from "react";

/** How many frames are drawn: whoever looks for an older one types what it has in it. */
const FRAMES_DRAWN = 150;

export function ConnectionSection({ connection, history, latencies }: Inspection) {
  return (
    <>
      <dl className="facts">
        <Fact name="Status">{connection.status}</Fact>
        <Fact name="Transport">{connection.transport ?? "none"}</Fact>
        <Fact name="Round trip">{connection.latencyMs === undefined ? "not known yet" : `${connection.latencyMs} ms`}</Fact>
        <Fact name="Attempts">{connection.attempt}</Fact>
        {latencies.length > 1 && (
          <div>
            <dt>Last {latencies.length} round trips</dt>
            <dd>
              <Sparkline values={latencies} />
            </dd>
          </div>
        )}
      </dl>
      {connection.error && <p className="bad clip">{`${connection.error.code}: ${connection.error.message}`}</p>}
      <ol aria-label="History of the connection">
        {[...history].reverse().map(({ id, at, status, detail }) => (
          <li key={id} className="line">
            <time className="mono muted">{timeOf(at)}</time>
            <span className="status">
              <span className="dot" data-status={status} />
              {status}
            </span>
            <span className="clip muted">{detail}</span>
          </li>
        ))}
      </ol>
    </>
  );
}

export function ChannelsSection({ channels }: Inspection) {
  if (channels.length === 0) return <p className="empty">No channel is claimed.</p>;
  return channels.map((channel) => <ChannelCard key={`${channel.isPrivate} ${channel.name}`} channel={channel} />);
}

function ChannelCard({ channel }: { channel: ChannelSeen }) {
  const { name, isPrivate, status, error, position, members, collections, pendingCount } = channel;
  return (
    <article className="card" aria-label={name}>
      <h3>
        {name}
        <small className={status === "joined" ? "" : status === "refused" ? "bad" : "wait"}>{status}</small>
        {!isPrivate && <small>public</small>}
        {position && <small className="mono" title={`epoch ${position.epoch}`}>{`offset ${position.offset}`}</small>}
        {pendingCount > 0 && <small className="wait">{count(pendingCount, "unsettled write")}</small>}
      </h3>
      {error && <p className="bad clip">{error}</p>}
      {collections.length > 0 && (
        <p className="muted">{collections.map(({ name, records }) => `${name}: ${count(records, "record")}`).join(", ")}</p>
      )}
      {members.length > 0 && (
        <p className="muted clip">
          {count(members.length, "member")}:{" "}
          {members.map(({ key, state, isSelf }) => `${nameOf(key, state)}${isSelf ? " (this tab)" : ""}`).join(", ")}
        </p>
      )}
    </article>
  );
}

export function WritesSection({ channels }: Inspection) {
  const unsettled = channels.flatMap((channel) => channel.unsettled.map((write) => ({ channel: channel.name, ...write })));
  if (unsettled.length === 0) return <p className="empty">All writes have settled.</p>;
  return (
    <ol aria-label="Unsettled writes">
      {unsettled.map(({ channel, collection, recordId, pending, failed }) => (
        <li key={`${channel} ${collection} ${recordId}`} className="line write">
          <span className={failed ? "bad" : "wait"}>{failed ? "refused" : `${pending} pending`}</span>
          <span className="clip">{channel}</span>
          <span className="clip">
            <code>{`${collection}/${recordId}`}</code> {failed && <span className="bad">{failed}</span>}
          </span>
        </li>
      ))}
    </ol>
  );
}

export function MessagesSection({ frames }: Inspection) {
  const [wanted, setWanted] = useState("");
  const words = wanted.toLowerCase().split(/\s+/).filter(Boolean);
  const found = frames.filter((frame) => words.every((word) => textOf(frame).includes(word)));
  return (
    <>
      <input
        className="find"
        type="search"
        aria-label="Find frames"
        placeholder={`Find in ${frames.length} frames: a topic, an event, a word`}
        value={wanted}
        onChange={(event) => setWanted(event.target.value)}
        onKeyDown={(event) => {
          if (event.key !== "Escape" || wanted === "") return; // an empty field lets it close the panel
          event.stopPropagation();
          setWanted("");
        }}
      />
      {found.length === 0 && (
        <p className="empty">{frames.length === 0 ? "Nothing was sent or heard yet." : "No frame has that."}</p>
      )}
      {found
        .slice(-FRAMES_DRAWN)
        .reverse()
        .map((frame) => (
          <Frame key={frame.id} frame={frame} />
        ))}
    </>
  );
}

function Frame({ frame: { at, direction, topic, event, payload, chars } }: { frame: FrameSeen }) {
  const [isOpen, setOpen] = useState(false);
  return (
    <details onToggle={({ currentTarget }) => setOpen(currentTarget.open)}>
      <summary>
        <time className="mono muted">{timeOf(at)}</time>
        <span className={direction} role="img" aria-label={direction === "up" ? "sent" : "heard"}>
          {direction === "up" ? "↑" : "↓"}
        </span>
        <span>
          {event} <span className="muted">{topic.replace(/^realtime:/, "")}</span>
        </span>
        <span className="mono muted">{payload}</span>
        <span className="muted">{chars < 1_000 ? `${chars}` : `${Math.round(chars / 1_000)} k`}</span>
      </summary>
      {isOpen && <pre>{indent(payload)}</pre>}
    </details>
  );
}

export function TroublesSection({ troubles }: Inspection) {
  if (troubles.length === 0) return <p className="empty">No conflict, no refusal, nothing missed.</p>;
  return (
    <ol aria-label="Conflicts, refusals and what was missed">
      {[...troubles].reverse().map(({ id, at, kind, channel, text }) => (
        <li key={id} className="line">
          <time className="mono muted">{timeOf(at)}</time>
          <span className={toneOf(kind)}>{kind}</span>
          <span className="clip">
            {channel && <span className="muted">{channel} </span>}
            {text}
          </span>
        </li>
      ))}
    </ol>
  );
}

function Fact({ name, children }: { name: string; children: string | number }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Sparkline({ values }: { values: readonly number[] }) {
  const most = Math.max(...values, 1);
  const points = values.map((value, nth) => `${(nth / (values.length - 1)) * 180},${32 - (value / most) * 28}`).join(" ");
  return (
    <svg className="spark" viewBox="0 0 180 34" role="img" aria-label={`at most ${most} ms`}>
      <polyline points={points} />
    </svg>
  );
}

const toneOf = (kind: Trouble["kind"]) => (kind === "conflict" || kind === "resync" ? "wait" : "bad");
const count = (n: number, what: string) => `${n} ${what}${n === 1 ? "" : "s"}`;
const textOf = ({ topic, event, payload }: FrameSeen) => `${topic} ${event} ${payload}`.toLowerCase();

/** Hours to ms, of the clock on the wall. */
function timeOf(at: number): string {
  const date = new Date(at);
  const two = (n: number) => String(n).padStart(2, "0");
  const ms = String(date.getMilliseconds()).padStart(3, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${ms}`;
}

function nameOf(key: string, state: Readonly<Record<string, unknown>>): string {
  return typeof state.name === "string" ? state.name : key.slice(-8);
}

function indent(payload: string): string {
  try {
    return JSON.stringify(JSON.parse(payload), null, 2);
  } catch {
    return payload; // it was cut
  }
}
