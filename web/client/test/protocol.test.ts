import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeDiff, decodeState } from "../src/presence-roster";
import {
  decodeBroadcast,
  decodeChange,
  decodeFrame,
  decodeJoined,
  decodeOutcome,
  decodeRecord,
  decodeRecords,
  decodeReply,
  decodeSynced,
  encodeFrame,
  isObject,
  ProtocolError,
} from "../src/protocol";

const DECODERS = {
  decodeBroadcast,
  decodeChange,
  decodeOutcome,
  decodeRecord,
  decodeRecords,
  decodeReply,
  decodeSynced,
  decodeState,
  decodeDiff,
  decodeJoined: (value: unknown) => decodeJoined(isObject(value) ? value : {}),
};

/** A whole payload of each kind, from which mutants are made. */
const RECORD = {
  id: "r",
  version: 3,
  fields: { a: 1 },
  stamps: { a: "s@c" },
  createdBy: "u",
  createdAt: 1,
  updatedBy: "u",
  updatedAt: 2,
};
const WHOLE: Record<keyof typeof DECODERS, object> = {
  decodeBroadcast: { type: "broadcast", event: "e", payload: { x: 1 }, meta: { id: "i", offset: 4, replayed: true } },
  decodeChange: { offset: 4, collection: "notes", record: "r", op: "put", status: "applied", client: "c", n: 1, state: RECORD },
  decodeOutcome: { n: 1, offset: 4, status: "rejected", error: { code: "c", message: "m", path: "/p" } },
  decodeRecord: RECORD,
  decodeRecords: { collection: "notes", reset: true, offset: 4, records: [RECORD], more: false },
  decodeReply: { status: "error", response: { reason: "Code: sentence", code: "c", retryable: true, retryAfterMs: 5 } },
  decodeSynced: { epoch: "e", offset: 4, last: 1, outcomes: [{ n: 1, offset: 4, status: "applied" }] },
  decodeState: { key: { metas: [{ phx_ref: "1", name: "Ada" }] } },
  decodeDiff: {
    joins: { key: { metas: [{ phx_ref: "2", phx_ref_prev: "1" }] } },
    leaves: { key: { metas: [{ phx_ref: "1" }] } },
  },
  decodeJoined: {
    chorale: {
      v: 1,
      epoch: "e",
      offset: 4,
      resumed: false,
      reason: "new",
      sub: "u",
      now: 5,
      limits: { recordBytes: 1, frameBytes: 2 },
    },
  },
};

const paths = (value: unknown, at: readonly string[] = []): (readonly string[])[] =>
  typeof value === "object" && value !== null
    ? Object.entries(value).flatMap(([name, part]) => [[...at, name], ...paths(part, [...at, name])])
    : [];

/** A copy in which what stands at the path is another value, or is left out. */
function mutate(value: unknown, [name, ...rest]: readonly string[], to: unknown): unknown {
  if (name === undefined) return to;
  const copy: Record<string, unknown> = Object.assign(Array.isArray(value) ? [] : {}, value);
  copy[name] = mutate(copy[name], rest, to);
  if (copy[name] === undefined) delete copy[name];
  return copy;
}

function throwsNothingElse(act: () => unknown): void {
  try {
    act();
  } catch (error) {
    expect(error).toBeInstanceOf(ProtocolError);
  }
}

describe("decoders", () => {
  it("[F5] a text decodes to a frame or is a protocol error", () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => throwsNothingElse(() => decodeFrame(text))));
  });

  it("[F2] a frame that was encoded decodes to itself", () => {
    const ref = fc.option(fc.string());
    fc.assert(
      fc.property(ref, fc.string(), fc.string(), fc.string(), fc.jsonValue(), (joinRef, own, topic, event, payload) => {
        const json = JSON.stringify(payload);
        expect(decodeFrame(encodeFrame(joinRef, own, topic, event, json))).toEqual({
          joinRef,
          ref: own,
          topic,
          event,
          payload: JSON.parse(json),
        });
      }),
    );
  });

  it.each(Object.entries(DECODERS))(
    "%s takes its whole payload, and any other value ends in a protocol error at most",
    (name, decode) => {
      const whole = WHOLE[name as keyof typeof DECODERS];
      expect(() => decode(whole)).not.toThrow();
      fc.assert(fc.property(fc.jsonValue(), (value) => throwsNothingElse(() => decode(value))));
      const mutant = fc.tuple(fc.constantFrom(...paths(whole)), fc.option(fc.jsonValue(), { nil: undefined }));
      fc.assert(fc.property(mutant, ([path, to]) => throwsNothingElse(() => decode(mutate(whole, path, to)))));
    },
  );

  it("[trap 18] offsets that JavaScript cannot count are refused", () => {
    for (const offset of [2 ** 53, 1.5, -0.5, "4", null, 1e21]) {
      expect(() => decodeSynced({ epoch: "e", offset, last: 0, outcomes: [] })).toThrow(ProtocolError);
    }
  });

  it("a refusal of a stock server has a code and a sentence as well", () => {
    const bare = decodeReply({ status: "error", response: { reason: "unmatched topic" } });
    expect(bare).toEqual({ ok: false, error: { code: "refused", message: "unmatched topic", retryable: false } });
    const ours = decodeReply({
      status: "error",
      response: { reason: "RateLimited: slow down", code: "rate_limited", retryable: true, retryAfterMs: 7 },
    });
    expect(ours).toEqual({
      ok: false,
      error: { code: "rate_limited", message: "slow down", retryable: true, retryAfterMs: 7 },
    });
  });
});
