import { act } from "@testing-library/react";
import { StrictMode } from "react";
import { hydrateRoot } from "react-dom/client";
import { renderToString } from "react-dom/server";
import { expect, test } from "vitest";
import { RealtimeProvider, useInterviewNotesRealtime } from "../src/index.ts";
import { collectionOf, FakeClient, record } from "./fake-client.ts";
import { note } from "./notes.ts";

const fromServer = [note("n1", "one"), note("n2", "two")];

function Notes() {
  const { notes, isLoading, isConnected } = useInterviewNotesRealtime("1", { initialNotes: fromServer });
  return <p>{`${notes.map(({ content }) => content).join(", ")} ${isLoading ? "loading" : "loaded"} ${isConnected}`}</p>;
}

test("[trap 36] the browser takes over what the server rendered, and then shows what is live", async () => {
  const page = (client: FakeClient) => (
    <StrictMode>
      <RealtimeProvider client={client}>
        <Notes />
      </RealtimeProvider>
    </StrictMode>
  );
  const container = document.createElement("div");
  container.innerHTML = renderToString(page(new FakeClient()));
  expect(container.textContent).toBe("one, two loading false");

  const client = new FakeClient();
  const live = client.channel("interview:1").collection("notes");
  live.set(collectionOf([], true));
  const root = await act(async () => hydrateRoot(container, page(client)));
  expect(container.textContent).toBe("one, two loading true");

  // A note of one's own joins those of the server, which stay until the live ones are there.
  act(() => live.set(collectionOf([record("n3", { content: "mine", timestampMs: 0, tags: [] })], true)));
  expect(container.textContent).toBe("one, two, mine loading true");
  act(() => live.set(collectionOf([record("n2", { content: "two, edited", timestampMs: 0, tags: [] })])));
  expect(container.textContent).toBe("two, edited loaded true");
  act(() => root.unmount());
  expect(client.held).toBe(0);
});
