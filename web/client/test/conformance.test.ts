import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { decodeDiff, decodeState } from "../src/presence-roster";
import {
  decodeBroadcast,
  decodeChange,
  decodeFrame,
  decodeJoined,
  decodeOutcome,
  decodeRecords,
  decodeReply,
  decodeSynced,
  encodeFrame,
  isObject,
  ProtocolError,
} from "../src/protocol";

/** The vectors and conversations that judge the server judge this client as well: conformance/frames and conformance/sessions. */
const CONFORMANCE = new URL("../../../conformance/", import.meta.url);
const read = (path: string) => readFileSync(new URL(path, CONFORMANCE), "utf8");
const vectors = <T>(file: string) => JSON.parse(read(`frames/${file}`)) as (T & { name: string })[];

interface VectorFrame {
  joinRef: string | null;
  ref: string | null;
  topic: string;
  event: string;
  payload: unknown;
}

describe("conformance/frames/client.json", () => {
  const own = vectors<{ sdk?: boolean; text: string; frame: VectorFrame }>("client.json").filter((vector) => vector.sdk);
  it.each(own)("the client writes $name to the byte", ({ text, frame }) => {
    expect(encodeFrame(frame.joinRef, frame.ref ?? "", frame.topic, frame.event, JSON.stringify(frame.payload))).toBe(text);
  });
});

describe("conformance/frames/server.json", () => {
  const ours = vectors<{ vsn: string; text?: string; frame: VectorFrame; malformed?: boolean }>("server.json").flatMap(
    (vector) => (vector.vsn === "2.0.0" && vector.text !== undefined ? [{ ...vector, text: vector.text }] : []),
  );
  it.each(ours.filter((vector) => !vector.malformed))("the client reads $name", ({ text, frame }) => {
    expect(decodeFrame(text)).toEqual(frame);
  });
  it.each(ours.filter((vector) => vector.malformed))("the client drops $name", ({ text }) => {
    expect(() => decodeFrame(text)).toThrow(ProtocolError);
  });
});

const PAYLOADS = { change: decodeChange, outcome: decodeOutcome, records: decodeRecords, synced: decodeSynced };

describe("conformance/frames/payloads.json", () => {
  const all = vectors<{ event: keyof typeof PAYLOADS; payload: unknown; refused?: boolean }>("payloads.json");
  it.each(all.filter((vector) => !vector.refused))("the client reads $name", ({ event, payload }) => {
    expect(PAYLOADS[event](payload)).toEqual(payload);
  });
  it.each(all.filter((vector) => vector.refused))("the client does not believe $name", ({ event, payload }) => {
    expect(() => PAYLOADS[event](payload)).toThrow(ProtocolError);
  });
});

/** What the client reads of each event; `null` where it reads nothing. */
const EVENTS: Record<string, ((payload: unknown) => unknown) | null> = {
  ...PAYLOADS,
  phx_reply(payload) {
    const reply = decodeReply(payload);
    return reply.ok && reply.response.chorale !== undefined ? decodeJoined(reply.response) : reply;
  },
  broadcast: decodeBroadcast,
  presence_state: decodeState,
  presence_diff: decodeDiff,
  system: null,
  phx_close: null,
  phx_error: null,
};

describe("conformance/sessions", () => {
  const files = readdirSync(new URL("sessions/", CONFORMANCE)).filter((file) => file.endsWith(".txt"));
  it.each(files)("the client understands everything that the server says in %s", (file) => {
    const said = [...read(`sessions/${file}`).matchAll(/^\S+ < (\[.*)$/gm)].map(([, frame]) => frame ?? "");
    expect(said).not.toEqual([]);
    for (const frame of said) {
      const { event, payload } = decodeFrame(frame);
      expect(EVENTS, frame).toHaveProperty(event);
      expect(() => EVENTS[event]?.(payload), frame).not.toThrow();
      if (event === "phx_reply" && isObject(payload) && payload.status === "error") {
        const reply = decodeReply(payload);
        expect(reply.ok ? "no code" : reply.error.code, frame).toMatch(/^(?!refused$)[a-z_]+$/);
      }
    }
  });
});
