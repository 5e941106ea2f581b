import type {
  Channel,
  ChannelOptions,
  ChannelSnapshot,
  ClientEvents,
  Collection,
  CollectionSnapshot,
  ConnectionSnapshot,
  Json,
  Message,
  Mutation,
  PresenceMember,
  RealtimeClient,
  Rec,
  RecordShape,
  StorageSnapshot,
  Store,
  Unsubscribe,
} from "@chorale/client";

/** A store whose value a test sets, and whose listeners it counts. */
export class Cell<T> implements Store<T> {
  readonly listeners = new Set<() => void>();
  #value: T;

  constructor(value: T) {
    this.#value = value;
  }

  readonly getSnapshot = () => this.#value;

  readonly subscribe = (listener: () => void): Unsubscribe => {
    const entry = () => listener();
    this.listeners.add(entry);
    return () => {
      this.listeners.delete(entry);
    };
  };

  set(value: T): void {
    this.#value = value;
    for (const listener of this.listeners) listener();
  }
}

/** What all claims of one channel share. */
export class FakeMembership {
  readonly status = new Cell<ChannelSnapshot>({ status: "joined", isSynced: true });
  readonly members = new Cell<readonly PresenceMember[]>([]);
  readonly states: Record<string, Json>[] = [];
  readonly published: { event: string; payload: Json }[] = [];
  readonly handlers = new Set<(message: Message) => void>();
  readonly collections = new Map<string, Cell<CollectionSnapshot<RecordShape>>>();
  /** Ends the newest write. */
  settle: () => void = () => {};
  claims = 0;

  collection(name: string): Cell<CollectionSnapshot<RecordShape>> {
    let cell = this.collections.get(name);
    if (cell === undefined) {
      cell = new Cell(collectionOf([]));
      this.collections.set(name, cell);
    }
    return cell;
  }

  receive(event: string, payload: Json): void {
    const message = { id: "m", channel: "c", event, payload, offset: 1, replayed: false };
    for (const handler of this.handlers) handler(message);
  }

  /** Everything that somebody listens to here. */
  get listeners(): number {
    const stores = [this.status, this.members, ...this.collections.values()];
    return stores.reduce((sum, store) => sum + store.listeners.size, this.handlers.size);
  }
}

/** The client's contract with nothing behind it: tests set what it shows, and count what is claimed and listened to. */
export class FakeClient implements RealtimeClient {
  readonly clientId = "client";
  readonly connection = new Cell<ConnectionSnapshot>({ status: "connected", isConnected: true, attempt: 0 });
  readonly pendingCount = new Cell(0);
  readonly storage = new Cell<StorageSnapshot>({ mode: "memory", reason: "off" });
  readonly memberships = new Map<string, FakeMembership>();
  readonly events: { event: string; listener: (detail: never) => void }[] = [];
  retained = 0;
  reconnects = 0;

  readonly channels = {
    getChannel: (options: ChannelOptions): Channel => this.#claim(options),
    list: () => [...this.memberships].filter(([, membership]) => membership.claims > 0).map(([name]) => name),
  };

  channel(name: string): FakeMembership {
    let membership = this.memberships.get(name);
    if (membership === undefined) {
      membership = new FakeMembership();
      this.memberships.set(name, membership);
    }
    return membership;
  }

  /** Claims and listeners that nobody has given back. */
  get held(): number {
    const channels = [...this.memberships.values()].reduce((sum, { claims, listeners }) => sum + claims + listeners, 0);
    return (
      channels +
      this.connection.listeners.size +
      this.pendingCount.listeners.size +
      this.storage.listeners.size +
      this.events.length +
      this.retained
    );
  }

  async clear(): Promise<void> {}

  retain(): Unsubscribe {
    this.retained++;
    return once(() => this.retained--);
  }

  reconnect(): void {
    this.reconnects++;
  }

  close(): void {
    this.connection.set({ status: "closed", isConnected: false, attempt: 0 });
  }

  on<E extends keyof ClientEvents>(event: E, listener: (detail: ClientEvents[E]) => void): Unsubscribe {
    const entry = { event, listener };
    this.events.push(entry);
    return once(() => this.events.splice(this.events.indexOf(entry), 1));
  }

  emit<E extends keyof ClientEvents>(event: E, detail: ClientEvents[E]): void {
    for (const entry of [...this.events]) if (entry.event === event) entry.listener(detail as never);
  }

  #claim({ name }: ChannelOptions): Channel {
    const membership = this.channel(name);
    membership.claims++;
    return {
      name,
      status: membership.status,
      presence: {
        members: membership.members,
        set: (state) => membership.states.push(state),
        update: (part) => membership.states.push({ ...membership.states.at(-1), ...part }),
        clear: () => membership.states.push({}),
      },
      publish: async (event, payload) => {
        membership.published.push({ event, payload });
        return { id: "m", offset: membership.published.length };
      },
      on: <P>(event: string, listener: (message: Message<P>) => void) => {
        const handler = (message: Message) => {
          if (event === "*" || event === message.event) listener(message as Message<P>);
        };
        membership.handlers.add(handler);
        return once(() => membership.handlers.delete(handler));
      },
      use: () => () => {},
      collection: <T extends RecordShape>(collection: string) => fakeCollection<T>(membership, collection),
      release: once(() => membership.claims--),
    };
  }
}

/** A record as the client shows it. */
export function record<T extends object>(id: string, fields: T): Rec<T> {
  const meta = { id, version: 1, createdAt: 1, createdBy: "ada", updatedAt: 1, updatedBy: "ada" };
  return Object.freeze({ ...fields, ...meta });
}

export function collectionOf<T extends object>(records: readonly Rec<T>[], isLoading = false): CollectionSnapshot<T> {
  return { records, byId: new Map(records.map((each) => [each.id, each])), status: new Map(), isLoading, isStale: false };
}

function fakeCollection<T extends RecordShape>(membership: FakeMembership, name: string): Collection<T> {
  const cell = membership.collection(name);
  const write = (id: string, records: readonly Rec<RecordShape>[]): Mutation => {
    cell.set(collectionOf(records));
    const settled = new Promise<{ status: "applied"; offset: number }>((resolve) => {
      membership.settle = () => resolve({ status: "applied", offset: 1 });
    });
    return { id: `write-${id}`, recordId: id, settled };
  };
  const others = (id: string) => cell.getSnapshot().records.filter((each) => each.id !== id);
  return {
    name,
    // The fake keeps records of any shape; which one a test asks for is the test's knowledge.
    snapshot: cell as unknown as Store<CollectionSnapshot<T>>,
    add: ({ id = `id-${cell.getSnapshot().records.length}`, ...fields }) => write(id, [...others(id), record(id, fields)]),
    patch: (id, patch) =>
      write(
        id,
        cell.getSnapshot().records.map((each) => (each.id === id ? Object.freeze({ ...each, ...patch }) : each)),
      ),
    delete: (id) => write(id, others(id)),
    restore: (id, patch) => write(id, [...others(id), record(id, patch ?? {})]),
    dismiss: () => {},
  };
}

function once(fn: () => unknown): Unsubscribe {
  let done = false;
  return () => {
    if (done) return;
    done = true;
    fn();
  };
}
