// @vitest-environment node
import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import { type ReactNode, StrictMode, Suspense } from "react";
import { renderToPipeableStream, renderToString } from "react-dom/server";
import { describe, expect, test } from "vitest";
import {
  type Note,
  RealtimeProvider,
  useChannel,
  useConnection,
  useInterviewNotesRealtime,
  usePresence,
  useProjects,
  useRealtime,
} from "../src/index.ts";
import { note } from "./notes.ts";

const untouched = (what: string) => () => {
  throw new Error(`${what} was used while rendering on a server`);
};

/** A provider as an app writes it, on a platform where whatever it touches fails the test. */
function OnServer({ children }: { children: ReactNode }) {
  const platform = { openSocket: untouched("openSocket"), setTimeout: untouched("setTimeout"), onHint: untouched("onHint") };
  return (
    <RealtimeProvider url="http://chorale.test" getToken={untouched("getToken")} platform={platform}>
      {children}
    </RealtimeProvider>
  );
}

function Page({ user, notes }: { user: string; notes: readonly Note[] }) {
  const { isConnected, interviews } = useRealtime();
  const interview = useInterviewNotesRealtime("1", { initialNotes: notes, presence: { name: user } });
  const { members } = usePresence("interview:1");
  const facts = [
    useConnection().status,
    isConnected,
    useChannel("room").status,
    useProjects().isLoading,
    interviews.length,
    members.length,
  ];
  return (
    <>
      <p>{facts.join(" ")}</p>
      <ul>
        {interview.notes.map(({ id, content }) => (
          <li key={id}>{content}</li>
        ))}
      </ul>
    </>
  );
}

const page = (user: string) => (
  <StrictMode>
    <OnServer>
      <Page user={user} notes={[note("n1", `only for ${user}`)]} />
    </OnServer>
  </StrictMode>
);

describe("on a server", () => {
  test("[trap 36] rendering opens nothing, asks for no token and sets no timer", () => {
    expect(renderToString(page("ada"))).toBe("<p>idle false idle true 0 0</p><ul><li>only for ada</li></ul>");
  });

  test("[trap 36] pages of two users that render at the same time do not mix", async () => {
    const gates = [gate(), gate()];
    const pages = ["ada", "ben"].map((user, nth) => (
      <OnServer key={user}>
        <Suspense fallback="…">
          <Waiting until={gates[nth] as Gate}>
            <Page user={user} notes={[note("n1", `only for ${user}`)]} />
          </Waiting>
        </Suspense>
      </OnServer>
    ));
    const rendering = pages.map(streamed);
    // Both have begun; the second is let through first.
    for (const { open } of [...gates].reverse()) open();
    const [ada, ben] = await Promise.all(rendering);
    expect(ada).toContain("only for ada");
    expect(ada).not.toContain("ben");
    expect(ben).toContain("only for ben");
    expect(ben).not.toContain("ada");
  });
});

interface Gate {
  opened: boolean;
  readonly passed: Promise<void>;
  open(): void;
}

function gate(): Gate {
  let resolve = () => {};
  const passed = new Promise<void>((done) => {
    resolve = done;
  });
  const self = {
    opened: false,
    passed,
    open: () => {
      self.opened = true;
      resolve();
    },
  };
  return self;
}

function Waiting({ until, children }: { until: Gate; children: ReactNode }) {
  if (!until.opened) throw until.passed;
  return children;
}

function streamed(tree: ReactNode): Promise<string> {
  const out = new PassThrough();
  const { pipe } = renderToPipeableStream(tree, {
    onAllReady: () => pipe(out),
    onError: (error) => {
      out.destroy(error instanceof Error ? error : new Error(String(error)));
    },
  });
  return text(out);
}
