import type { Channel, ChoraleErrorLike, ConnectionStatus, Message, Mutation, Rec } from "@chorale/client";
import { defineCollection, defineEvent } from "@chorale/client/schema";
import * as v from "valibot";
import { expectTypeOf, test } from "vitest";
import { z } from "zod";
import {
  type Interview,
  type Note,
  type Project,
  useBroadcast,
  useChannel,
  useClientEvent,
  useCollection,
  useConnection,
  useInterviewNotesBroadcast,
  useInterviewNotesRealtime,
  useMembers,
  usePresence,
  useProjects,
  useRealtime,
  useRecord,
  useRecords,
} from "../src/index.ts";

interface Item {
  title: string;
  votes: number;
}

test("a collection gives records of the type it was asked for, and takes patches of it", () => {
  const items = useCollection<Item>("list", "items");
  expectTypeOf(items.records).toEqualTypeOf<readonly Rec<Item>[]>();
  expectTypeOf(items.byId.get("1")).toEqualTypeOf<Rec<Item> | undefined>();
  expectTypeOf(items.add({ title: "x", votes: 0 })).toEqualTypeOf<Mutation>();
  items.patch("1", { votes: { increment: 1 } });
  // @ts-expect-error a field that the record does not have
  items.patch("1", { tilte: "x" });
  // @ts-expect-error a record without all its fields
  items.add({ title: "x" });
  expectTypeOf(useRecord<Item>("list", "items", undefined)).toEqualTypeOf<Rec<Item> | undefined>();
});

test("a broadcast's payload has one type for the listener and for publishing", () => {
  const move = useBroadcast<{ x: number }>("room", "move", (message) => {
    expectTypeOf(message).toEqualTypeOf<Message<{ x: number }>>();
  });
  move({ x: 1 });
  // @ts-expect-error another payload
  move({ y: 1 });
});

test("presence is of the state that it begins with", () => {
  const { members, self, update } = usePresence("room", { name: "Ada", typing: false });
  expectTypeOf(members[0]?.state.name).toEqualTypeOf<string | undefined>();
  expectTypeOf(self?.state.typing).toEqualTypeOf<boolean | undefined>();
  update({ typing: true });
  // @ts-expect-error not a part of the state
  update({ name: 7 });
});

test("a selected part of the connection has that part's type", () => {
  expectTypeOf(useConnection((connection) => connection.latencyMs)).toEqualTypeOf<number | undefined>();
  expectTypeOf(useConnection().status).toEqualTypeOf<ConnectionStatus>();
});

test("a channel may be named, described or not known yet", () => {
  expectTypeOf(useChannel("room").channel).toEqualTypeOf<Channel | undefined>();
  useChannel({ name: "room", presence: true, ack: true });
  useChannel(undefined);
  // @ts-expect-error options without a name
  useChannel({ presence: true });
});

test("an event of the client brings its own detail", () => {
  useClientEvent("mutationFailed", ({ outcome }) => {
    expectTypeOf(outcome.status).toEqualTypeOf<"superseded" | "exists" | "gone" | "rejected" | "unknown">();
  });
});

test("interview notes have the same type by options and by id", () => {
  expectTypeOf(useInterviewNotesRealtime).returns.toEqualTypeOf<ReturnType<typeof useInterviewNotesBroadcast>>();
  const { notes, addNote } = useInterviewNotesBroadcast({ interviewId: undefined });
  expectTypeOf(notes).toEqualTypeOf<readonly Note[]>();
  addNote({ content: "x", timestampMs: 0, authorName: "Ada" });
  // @ts-expect-error a note without its time in the recording
  addNote({ content: "x", authorName: "Ada" });
});

test("the app's frame gets interviews, projects and why they are missing", () => {
  expectTypeOf(useRealtime().interviews).toEqualTypeOf<readonly Interview[]>();
  expectTypeOf(useProjects().projects).toEqualTypeOf<readonly Project[]>();
  expectTypeOf(useRealtime().error).toEqualTypeOf<ChoraleErrorLike | undefined>();
});

test("a zod schema types records and what may be written, defaults and all", () => {
  const tasks = defineCollection("tasks", z.object({ title: z.string(), done: z.boolean().default(false) }));
  const { records, invalid, add, patch } = useCollection("list", tasks);
  expectTypeOf(records).toEqualTypeOf<readonly Rec<{ title: string; done: boolean }>[]>();
  expectTypeOf(invalid.get("1")?.issues[0]?.path).toEqualTypeOf<string | undefined>();
  add({ title: "x" });
  patch("1", { done: true });
  // @ts-expect-error a field of another type
  add({ title: 7 });
  // @ts-expect-error a field that the schema does not have
  patch("1", { tilte: "x" });
  expectTypeOf(useRecord("list", tasks, "1")).toEqualTypeOf<Rec<{ title: string; done: boolean }> | undefined>();
  expectTypeOf(useRecords("list", tasks, ({ records }) => records.map(({ title }) => title))).toEqualTypeOf<string[]>();
});

test("a valibot schema does the same for records and messages", () => {
  const votes = defineCollection("votes", v.object({ option: v.string(), count: v.number() }));
  expectTypeOf(useCollection("poll", votes).records[0]?.count).toEqualTypeOf<number | undefined>();
  const wave = defineEvent("wave", v.object({ from: v.string(), at: v.pipe(v.string(), v.transform(Number)) }));
  const send = useBroadcast("room", wave, ({ payload }) => {
    expectTypeOf(payload).toEqualTypeOf<{ from: string; at: number }>();
  });
  send({ from: "Ada", at: "7" });
  // @ts-expect-error what is sent is the schema's input
  send({ from: "Ada", at: 7 });
});

test("a selection has the type of what was selected", () => {
  expectTypeOf(
    useMembers<{ name: string }, string[]>("room", (members) => members.map(({ state }) => state.name)),
  ).toEqualTypeOf<string[]>();
  expectTypeOf(useConnection(({ status, isConnected }) => ({ status, isConnected }))).toEqualTypeOf<{
    status: ConnectionStatus;
    isConnected: boolean;
  }>();
});
