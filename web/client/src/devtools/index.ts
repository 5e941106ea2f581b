/**
 * For developers' tools, such as the panel of `@chorale/react/devtools`: what a client does, kept for a while, and a bad network at the
 * press of a button. Nothing of it is loaded with the client.
 *
 *     const inspector = inspect(client);
 *     inspector.store.subscribe(() => console.table(inspector.store.getSnapshot().frames));
 *     inspector.setLatency(400);
 */
export {
  type ChannelSeen,
  type ConnectionChange,
  type FrameSeen,
  type Inspection,
  type Inspector,
  inspect,
  type PendingRecord,
  type Trouble,
} from "./inspector";
export type { Direction } from "./wire";
