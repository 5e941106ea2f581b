/**
 * A world for the model test: one channel of the fake server, some peers, and a network whose frames a test hands over one by one.
 * After every step the world checks what must always hold.
 */
import { expect } from "vitest";
import type { ChannelStore, StoreHost } from "../src/collection/seam";
import { createChannelStore } from "../src/collection/store";
import type { WireChange, WireOutcome, WireRefusal } from "../src/collection/wire";
import { FakeChannel, type Member, type Position } from "../src/testing/channel";
import type { FakeMutation } from "../src/testing/mutations";
import type { Mutation, Outcome, Rec } from "../src/types";

export interface Fields {
  content: string;
  tags: readonly string[];
  votes?: number;
}

type Answer = { ok: WireOutcome } | { error: WireRefusal };
type Down =
  | { readonly event: string; readonly payload: unknown }
  | { readonly answer: Answer; readonly onReply: (answer: Answer) => void };
interface Up {
  readonly json: string;
  readonly onReply?: (answer: Answer) => void;
}

export class World {
  readonly channel = new FakeChannel("room", "epoch-1", () => this.now);
  readonly peers: readonly Peer[];
  /** Where the log has each mutation, by its id. */
  readonly loggedAt = new Map<string, number>();
  /** Votes of each living record as they are in the log, by offset. */
  readonly votesAt: ReadonlyMap<string, number>[] = [new Map()];
  /** Bytes by client and number: they never change. */
  readonly #bytes = new Map<string, string>();
  now = 1_790_000_000_000;
  rejects = 0;
  refuses = 0;
  #ids = 0;

  constructor(skewsMs: readonly number[]) {
    this.peers = skewsMs.map((skewMs, index) => new Peer(this, `user-${index}`, skewMs));
  }

  nextId(prefix: string): string {
    return `${prefix}-${String(++this.#ids).padStart(6, "0")}`;
  }

  /** A mutation arrives at the server, over whichever connection. */
  mutate(json: string, sub: string): Answer {
    const parsed = JSON.parse(json) as Partial<FakeMutation> & Pick<FakeMutation, "client" | "n" | "id">;
    const m = { fields: {}, sets: {}, counters: {}, base: 0, ...parsed } as FakeMutation;
    const key = `${m.client}:${m.n}`;
    expect(this.#bytes.get(key) ?? json, "[M1] a number stands for the same bytes for ever").toBe(json);
    this.#bytes.set(key, json);
    if (this.refuses > 0) {
      this.refuses--;
      return { error: { code: "overloaded", message: "too much", retryable: true, retryAfterMs: 100 } };
    }
    const fault = () => {
      if (this.rejects === 0) return undefined;
      this.rejects--;
      return { code: "schema_violation", message: "no" };
    };
    const before = this.channel.position.offset;
    const answer = this.channel.mutate(m, sub, fault);
    if (this.channel.position.offset > before) {
      this.loggedAt.set(m.id, this.channel.position.offset);
      const alive = this.channel.records("notes").filter((record) => record.deleted === undefined);
      const votes = alive.map((record) => [record.id, record.counters?.votes ?? 0] as const);
      this.votesAt[this.channel.position.offset] = new Map(votes);
    }
    expect(this.channel.timesApplied(m.id), "[R4] a mutation takes effect once").toBeLessThanOrEqual(1);
    return answer;
  }

  /** Lets everything arrive, until nothing moves any more. */
  quiesce(): void {
    this.rejects = this.refuses = 0;
    for (let round = 0; round < 200; round++) {
      for (const peer of this.peers) peer.join();
      while (this.peers.some((peer) => peer.zombie() || peer.up() || peer.down()));
      this.pass(1_000);
      if (this.peers.every((peer) => peer.isQuiet)) return;
    }
    throw new Error("the world does not come to rest");
  }

  pass(ms: number): void {
    this.now += ms;
    for (const peer of this.peers) peer.runTimers();
  }

  /** What must be so when all is said. */
  checkEnd(): void {
    const records = this.channel.records("notes").filter((record) => record.deleted === undefined);
    const truth = records.map(({ id, version, fields, sets, counters }) => ({ id, version, ...fields, ...sets, ...counters }));
    for (const peer of this.peers) {
      const shown = peer.records.map(({ createdAt, createdBy, updatedAt, updatedBy, ...rest }) => rest);
      expect(shown, "[R5] everybody shows what the server has").toEqual(truth);
      expect(peer.store.pendingCount.getSnapshot(), "nothing is pending").toBe(0);
      peer.checkOutcomes();
    }
  }
}

interface Made {
  readonly mutation: Mutation;
  readonly record: string;
  readonly op: string;
  votes: number;
  outcome?: Outcome;
}

export class Peer {
  readonly store: ChannelStore;
  readonly #world: World;
  readonly #sub: string;
  readonly #skewMs: number;
  #client: string;
  #member: Member | undefined;
  #isLive = false;
  #mustRejoin = false;
  #position: Position | undefined;
  #timers: { readonly at: number; readonly run: () => void }[] = [];
  #ups: Up[] = [];
  #downs: Down[] = [];
  /** Frames that a dead connection still holds. */
  #zombies: Up[] = [];
  /** What was written, by mutation id. */
  readonly #made = new Map<string, Made>();
  /** For each record the contents that were shown and are not any more. */
  readonly #gone = new Map<string, Set<string>>();
  /**
   * Records whose contents may come back: after a refusal, and after a restore, which has an effect or none as the record is deleted
   * or not when its turn comes.
   */
  readonly #unsteady = new Set<string>();
  #shown = new Map<string, Rec<Fields>>();

  constructor(world: World, sub: string, skewMs: number) {
    this.#world = world;
    this.#sub = sub;
    this.#skewMs = skewMs;
    this.#client = world.nextId("client");
    this.store = createChannelStore(this.#host());
    this.notes.snapshot.subscribe(() => this.#onSnapshot());
  }

  get notes() {
    return this.store.collection<Fields>("notes");
  }

  get records(): readonly Rec<Fields>[] {
    return this.notes.snapshot.getSnapshot().records;
  }

  shown(id: string): Rec<Fields> | undefined {
    return this.notes.snapshot.getSnapshot().byId.get(id);
  }

  get isQuiet(): boolean {
    return this.store.pendingCount.getSnapshot() === 0 && this.#ups.length + this.#downs.length + this.#zombies.length === 0;
  }

  // ---- what a person does

  write(op: string, record: string, act: (notes: Peer["notes"]) => Mutation, votes = 0): void {
    const mutation = act(this.notes);
    const known = this.#made.get(mutation.id);
    if (known !== undefined) known.votes += votes;
    else this.#made.set(mutation.id, { mutation, record, op, votes });
    if (op === "restore") this.#unsteady.add(record);
    this.#check();
  }

  // ---- what the network does

  join(): void {
    if (this.#member !== undefined && !this.#mustRejoin) return;
    this.drop();
    this.#mustRejoin = false;
    const downs: Down[] = [];
    this.#downs = downs;
    const member: Member = {
      ...{ sub: this.#sub, client: this.#client, collections: ["notes"], isSelf: true, presenceKey: "", hasPresence: false },
      push: (event, payload) => downs.push({ event, payload: structuredClone(payload) }),
    };
    this.#member = member;
    this.#world.channel.catchUp(member, this.#position);
  }

  drop(): void {
    if (this.#member === undefined) return;
    this.#world.channel.leave(this.#member);
    this.#member = undefined;
    this.#isLive = false;
    this.#zombies.push(...this.#ups.map(({ json }) => ({ json })));
    this.#ups = [];
    this.#downs = [];
    this.store.onDown();
    this.#check();
  }

  /** Loses what a dead connection held. */
  bury(): void {
    this.#zombies = [];
  }

  zombie(): boolean {
    const frame = this.#zombies.shift();
    if (frame !== undefined) this.#world.mutate(frame.json, this.#sub);
    return frame !== undefined;
  }

  up(): boolean {
    const frame = this.#ups.shift();
    if (frame === undefined) return false;
    const answer = this.#world.mutate(frame.json, this.#sub);
    if (frame.onReply !== undefined) this.#downs.push({ answer, onReply: frame.onReply });
    return true;
  }

  /** Hands over the next frame. */
  down(): boolean {
    return this.#hand(this.#downs.shift());
  }

  /** Hands over the next answer, before all that is in front of it. */
  earlyAnswer(): boolean {
    const at = this.#downs.findIndex((frame) => "answer" in frame);
    const [frame] = at < 0 ? [] : this.#downs.splice(at, 1);
    return this.#hand(frame);
  }

  /** Hands over the next frame, and once more. */
  twice(): void {
    const [frame] = this.#downs;
    if (frame === undefined || "answer" in frame || frame.event !== "change") return;
    this.#hand(frame);
    this.down();
  }

  runTimers(): void {
    const due = this.#timers.filter(({ at }) => at <= this.#world.now);
    this.#timers = this.#timers.filter((timer) => !due.includes(timer));
    for (const { run } of due) run();
  }

  #hand(frame: Down | undefined): boolean {
    if (frame === undefined) return false;
    const before = this.#contents();
    if ("answer" in frame) frame.onReply(frame.answer);
    else this.#receive(frame.event, frame.payload);
    // Only somebody else's change, a catch-up, or a refusal may show something new.
    const isNews = !("answer" in frame) && (frame.event !== "change" || !this.#isConfirmation(frame.payload as WireChange));
    const isRefusal = "answer" in frame && "ok" in frame.answer && ["rejected", "exists"].includes(frame.answer.ok.status);
    if (!isNews && !isRefusal) expect(this.#contents(), "[R6] a confirmation changes nothing").toEqual(before);
    this.#check();
    return true;
  }

  /** Refusals roll back. A reset leaves tombstones out: that one is in the way, or comes back, need not be known here. */
  #isConfirmation({ client, status, op }: WireChange): boolean {
    return client === this.#client && status !== "rejected" && status !== "exists" && op !== "restore";
  }

  #receive(event: string, payload: unknown): void {
    switch (event) {
      case "records":
        this.store.onRecords(payload as Parameters<ChannelStore["onRecords"]>[0]);
        return;
      case "synced": {
        const synced = payload as Parameters<ChannelStore["onSynced"]>[0];
        this.#move({ epoch: synced.epoch, offset: synced.offset });
        this.#isLive = true;
        this.store.onSynced(synced);
        return;
      }
      case "change": {
        const change = payload as WireChange;
        const { epoch, offset } = this.#position ?? { epoch: "", offset: 0 };
        this.#move({ epoch, offset: Math.max(offset, change.offset) });
        this.store.onChange(change);
        return;
      }
      default:
        throw new Error(`a peer got ${event}`);
    }
  }

  #move(to: Position): void {
    const from = this.#position;
    if (from?.epoch === to.epoch) expect(to.offset, "the cursor goes forward").toBeGreaterThanOrEqual(from.offset);
    this.#position = to;
  }

  // ---- what must always hold

  #contents(): unknown {
    return this.records.map(({ id, content, tags, votes }) => ({ id, content, tags, votes }));
  }

  #onSnapshot(): void {
    const { byId, status } = this.notes.snapshot.getSnapshot();
    for (const [id, { failed }] of status) if (failed !== undefined) this.#unsteady.add(id);
    for (const [id, record] of byId) {
      const old = this.#shown.get(id);
      if (old === undefined || old.content === record.content) continue;
      const gone = this.#gone.get(id) ?? new Set();
      gone.add(old.content);
      this.#gone.set(id, gone);
      const isBack = gone.has(record.content) && !this.#unsteady.has(id);
      expect(isBack && record.content, "[R6] what was replaced does not come back").toBe(false);
    }
    this.#shown = new Map(byId);
  }

  /** Each vote is shown once: it is in the log as far as that was seen, or it is on top of it. */
  #check(): void {
    if (!this.#isLive || this.#position === undefined) return;
    const logged = this.#world.votesAt[this.#position.offset];
    for (const record of this.records) {
      const onTop = [...this.#made.values()].filter((made) => made.record === record.id && !this.#isSeen(made));
      const base = logged?.get(record.id);
      if (base === undefined || onTop.some((made) => made.op === "delete")) continue; // votes may come to nothing on the way
      const expected = base + onTop.reduce((sum, made) => sum + made.votes, 0);
      expect(record.votes ?? 0, `[R6] votes of ${record.id} are shown once`).toBe(expected);
    }
  }

  #isSeen({ mutation }: Made): boolean {
    const at = this.#world.loggedAt.get(mutation.id);
    return at !== undefined && at <= (this.#position?.offset ?? 0);
  }

  /** Listens to the outcomes. Promises answer later than everything else, so this is asked at the end. */
  async collect(): Promise<void> {
    for (const made of this.#made.values()) made.outcome = await made.mutation.settled;
  }

  checkOutcomes(): void {
    for (const { mutation, outcome } of this.#made.values()) {
      const times = this.#world.channel.timesApplied(mutation.id);
      if (outcome?.status === "applied") expect(times, "[R2] what was acknowledged is in the log").toBe(1);
      else if (outcome?.status !== "unknown") expect(times, `[R4] ${outcome?.status} has no effect`).toBe(0);
    }
  }

  #host(): StoreHost {
    const world = this.#world;
    return {
      channel: "room",
      clientId: () => this.#client,
      renewClient: () => {
        this.#client = world.nextId("client");
        this.#isLive = false;
        this.#mustRejoin = true;
      },
      offset: () => this.#position?.offset ?? 0,
      subject: () => this.#sub,
      now: () => world.now + this.#skewMs,
      uuid: () => world.nextId("id"),
      setTimeout: (run, ms) => {
        const timer = { at: world.now + ms, run };
        this.#timers.push(timer);
        return timer;
      },
      clearTimeout: (handle) => {
        this.#timers = this.#timers.filter((timer) => timer !== handle);
      },
      limits: () => ({ recordBytes: 262_144, frameBytes: 5_000_000 }),
      sendMutation: (json, onReply) => {
        if (!this.#isLive) return false;
        this.#ups.push({ json, onReply });
        return true;
      },
      emit: () => {},
      collectionsChanged: () => {},
      reportError: (error) => {
        throw error;
      },
    };
  }
}
