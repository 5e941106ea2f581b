/**
 * React hooks over @chorale/client. The client is the store and holds all logic; the hooks claim channels while a component is mounted
 * and render it when what it reads has changed.
 */
export type {
  Interview,
  InterviewFields,
  Note,
  NoteFields,
  NoteInput as NewNote,
  Project,
  ProjectFields,
} from "@chorale/client/notes";
export type { ChannelRef, CollectionRef } from "./opened-channel.ts";
export { RealtimeProvider, type RealtimeProviderProps } from "./provider.tsx";
export { useBroadcast } from "./use-broadcast.ts";
export { type Publish, type UseChannel, useChannel } from "./use-channel.ts";
export { useClient } from "./use-client.ts";
export { useClientEvent, useConflicts } from "./use-client-event.ts";
export { type UseCheckedCollection, type UseCollection, useCollection } from "./use-collection.ts";
export { useConnection } from "./use-connection.ts";
export {
  type InterviewNotesOptions,
  type UseInterviewNotes,
  useInterviewNotesBroadcast,
  useInterviewNotesRealtime,
} from "./use-interview-notes.ts";
export { type PresenceState, type UsePresence, useMembers, usePresence } from "./use-presence.ts";
export { type UseProjects, useProjects } from "./use-projects.ts";
export { type UseRealtime, useRealtime } from "./use-realtime.ts";
export { useRecord, useRecordStatus, useRecords } from "./use-record.ts";
