import { readdirSync, readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { createRealtimeClient } from "../src/client";
import { createFakePlatform } from "../src/testing";
import type { Channel, Json, Message } from "../src/types";
import { Wire } from "./wire";

/**
 * The client's half of the conversations in which a program speaks: what the program does is done, what the client says is compared frame by
 * frame, and what the server says is said to it. internal/session plays the same files to the server, so each half is judged by what the other
 * was seen to say; the Go client plays them as well, so both clients say the same.
 */
const SESSIONS = new URL("../../../conformance/sessions/", import.meta.url);
const PROGRAM = /^([a-z]+) does /m;
const conversations = readdirSync(SESSIONS)
  .filter((file) => file.endsWith(".txt"))
  .map((file) => ({ file, script: readFileSync(new URL(file, SESSIONS), "utf8") }))
  .filter(({ script }) => PROGRAM.test(script));

it("there are conversations with a program", () => {
  expect(conversations).not.toEqual([]);
});

it.each(conversations)("[J1] [M1] [R6] [S1] the client says in $file what is written", async ({ script }) => {
  const [, name = ""] = PROGRAM.exec(script) ?? [];
  const half = new Half(name);
  for (const [i, line] of script.split("\n").entries()) {
    await half.step(line, `line ${i + 1}: ${line}`);
  }
  expect(half.unread()).toEqual([]);
  expect(half.platform.errors).toEqual([]);
});

const START = Date.UTC(2000, 0, 1);
const TOKEN = /\{token [^}]*\}/g;
/** What a record has beside the values that were written. */
const OF_THE_SERVER = ["id", "version", "createdAt", "createdBy", "updatedAt", "updatedBy"];
const MADE_ID = /[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/g;

/** One client's side of a conversation. */
class Half {
  readonly platform = createFakePlatform({ start: START });
  readonly #name: string;
  readonly #wires: Wire[] = [];
  readonly #client;
  #channel: Channel | undefined;
  readonly #heard: Message[] = [];
  /** How many sockets the conversation knows of. */
  #connected = 0;
  /** How much of what the newest of them was sent has been compared. */
  #read = 0;
  /** The ids that it has made, by their names in the file. */
  readonly #made: string[] = [];

  constructor(name: string) {
    this.#name = name;
    this.platform.connectTo((url) => {
      const wire = new Wire(url);
      this.#wires.push(wire);
      return wire;
    });
    const ids = [`${name}-1`]; // the client's own, as the file has it
    const platform = { ...this.platform, uuid: () => ids.pop() ?? this.platform.uuid() };
    this.#client = createRealtimeClient({ url: "http://server", getToken: () => "token", platform, releaseMs: 0 });
    this.#client.retain();
  }

  /** `at` is the line, for whoever reads that it failed. */
  async step(line: string, at: string): Promise<void> {
    const [word = "", verb = ""] = line.split(" ");
    if (word === "advance") await this.platform.advance(msOf(verb));
    else if (line === `disconnect ${this.#name}`) this.#newest().lose();
    else if (line === `connect ${this.#name}`) await this.#connects(at);
    else if (word === this.#name) this.#speaks(verb, line.slice(word.length + verb.length + 2), at);
    await this.platform.advance(0);
  }

  async #connects(at: string): Promise<void> {
    await this.platform.advance(0);
    expect(this.#wires.length, `${at}\nit has come by itself`).toBe(++this.#connected);
    this.#read = 0;
    this.#newest().onopen?.();
  }

  #speaks(verb: string, what: string, at: string): void {
    switch (verb) {
      case "does":
        expect(this.unread(), at).toEqual([]);
        this.#does(what);
        return;
      case ">":
        expect(this.unread()[0], at).toEqual(JSON.parse(what.replace(TOKEN, "token")));
        this.#read++;
        return;
      case "<":
        this.#newest().say(this.#made.reduce((text, id, i) => text.replaceAll(`"w${i + 1}"`, `"${id}"`), what));
        return;
      case "shows": {
        const [collection = "", id = "", values = ""] = words(what, 3);
        const record = this.#channel?.collection(collection).snapshot.getSnapshot().byId.get(id) ?? {};
        const written = Object.entries(record).filter(([field]) => !OF_THE_SERVER.includes(field));
        expect(Object.fromEntries(written), at).toEqual(JSON.parse(values));
        return;
      }
      case "hears": {
        const [event, payload = ""] = words(what, 2);
        expect(this.#heard.shift(), at).toMatchObject({ event, payload: JSON.parse(payload) });
        return;
      }
      default:
        expect.unreachable(`${at}\nno line says that`);
    }
  }

  #does(what: string): void {
    const [verb, first = "", second = "", third = ""] = words(what, 4);
    const records = () => {
      if (!this.#channel) throw new Error("it has joined nothing");
      return this.#channel.collection<Record<string, Json>>(first);
    };
    switch (verb) {
      case "join":
        this.#channel = this.#client.channels.getChannel({ name: first });
        this.#channel.collection(second);
        this.#channel.on("*", (message) => this.#heard.push(message));
        return;
      case "publish":
        void this.#channel?.publish(first, JSON.parse(second));
        return;
      case "put":
        records().add({ ...JSON.parse(third), id: second });
        return;
      case "patch":
        records().patch(second, JSON.parse(third));
        return;
      case "delete":
        records().delete(second);
        return;
      case "release":
        this.#channel?.release();
        return;
      default:
        expect.unreachable(`no program does ${verb}`);
    }
  }

  /** What the client has said and was not compared, with names for the ids that it has made. */
  unread(): unknown[] {
    const named = (id: string) => {
      if (!this.#made.includes(id)) this.#made.push(id);
      return `w${this.#made.indexOf(id) + 1}`;
    };
    return this.#newest()
      .sent.slice(this.#read)
      .map((frame) => JSON.parse(frame.replace(MADE_ID, named), withoutNothing));
  }

  #newest(): Wire {
    const wire = this.#wires.at(-1);
    if (!wire) throw new Error("it has not connected");
    return wire;
  }
}

/** That nothing of a channel was seen may be said, or left out. */
const withoutNothing = (key: string, value: unknown) => (key === "base" && value === 0 ? undefined : value);

/** The first words of a text, and the rest of it. */
function words(text: string, count: number): string[] {
  const all = text.split(" ");
  return [...all.slice(0, count - 1), all.slice(count - 1).join(" ")];
}

function msOf(duration: string): number {
  const unit = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }[duration.replace(/^\d+/, "")];
  if (unit === undefined) throw new Error(`${duration} is no duration`);
  return Number.parseInt(duration, 10) * unit;
}
