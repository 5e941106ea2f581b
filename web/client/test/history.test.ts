import { describe, expect, it, vi } from "vitest";
import { readHistory } from "../src/history";
import { titlesOf } from "./readme/history";

const query = { channel: "list:7", collection: "tasks", recordId: "r 1" };
const by = (n: number, sub: string) => ({
  ...{ offset: n, collection: "tasks", record: "r 1", status: "applied", client: `c-${sub}`, n: 1, by: sub, time: n * 1_000 },
});
const state = {
  ...{ id: "r 1", version: 1, fields: { title: "one" }, sets: { tags: ["a"] }, stamps: { title: "s1" } },
  ...{ createdBy: "ada", createdAt: 1_000, updatedBy: "ada", updatedAt: 1_000 },
};
const CHANGES = [
  { ...by(1, "ada"), op: "put", state },
  {
    ...by(2, "ben"),
    op: "patch",
    fields: { title: "two" },
    sets: { tags: { b: true, a: false } },
    counters: { votes: 3 },
    stamp: "s2",
  },
  { ...by(5, "ada"), op: "delete", stamp: "s3" },
];

function server(...answers: Response[]) {
  const asked = vi.fn(async (_url: string, _init: RequestInit) => answers.shift() ?? Response.error());
  const getToken = vi.fn(async ({ refused }: { refused: boolean }) => (refused ? "newer" : "token"));
  return { asked, getToken, source: { url: "ws://h/x/socket/", getToken, fetch: asked } };
}

describe("a record's history", () => {
  it("[A6] is who changed what and when, with the record as it was after each", async () => {
    const { source, asked } = server(Response.json({ epoch: "e", complete: true, changes: CHANGES }));
    const history = await readHistory<{ title: string }>(source, { ...query, limit: 5 });
    expect(asked.mock.calls[0]).toEqual([
      "http://h/x/api/v1/channels/list%3A7/collections/tasks/records/r%201/history?limit=5",
      { headers: { authorization: "Bearer token" } },
    ]);
    expect(history.isComplete).toBe(true);
    expect(history.versions.map(({ version, at, by: who, op, changed }) => [version, at, who, op, changed])).toEqual([
      [1, 1_000, "ada", "put", ["tags", "title"]],
      [2, 2_000, "ben", "patch", ["tags", "title", "votes"]],
      [5, 5_000, "ada", "delete", []],
    ]);
    expect(history.versions.map(({ record }) => record)).toEqual([
      expect.objectContaining({ id: "r 1", title: "one", tags: ["a"], version: 1 }),
      expect.objectContaining({ title: "two", tags: ["b"], votes: 3, version: 2, updatedBy: "ben" }),
      undefined,
    ]);
    expect(history.versions[1]?.wrote).toEqual({ title: "two", tags: { a: false, b: true }, votes: 3 });
  });

  it("[A6] has what was written where the record before is not known any more", async () => {
    const { source } = server(Response.json({ epoch: "e", complete: false, changes: CHANGES.slice(1) }));
    const { versions, isComplete } = await readHistory(source, query);
    expect([isComplete, versions[0]?.record, versions[0]?.wrote.title]).toEqual([false, undefined, "two"]);
    const again = server(Response.json({ epoch: "e", complete: false, changes: CHANGES.slice(1) }));
    expect(await titlesOf(again.source, "r 1")).toEqual(["two", null]);
  });

  it("asks for another token once, and says what the server said", async () => {
    const { source, getToken } = server(new Response("", { status: 401 }), Response.json({ complete: true, changes: [] }));
    expect((await readHistory(source, query)).versions).toEqual([]);
    expect(getToken.mock.calls).toEqual([[{ refused: false }], [{ refused: true }]]);

    const unknown = server(Response.json({ code: "record_unknown", detail: "There is no such record" }, { status: 404 }));
    await expect(readHistory(unknown.source, query)).rejects.toMatchObject({ code: "record_unknown", retryable: false });
    const broken = server(new Response("<html>", { status: 502 }));
    await expect(readHistory(broken.source, query)).rejects.toMatchObject({ code: "refused", retryable: true });
  });
});
