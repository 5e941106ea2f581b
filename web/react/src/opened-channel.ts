import type { Channel, ChannelOptions, Collection, RealtimeClient, RecordShape } from "@chorale/client";
import type { CollectionType } from "@chorale/client/schema";
import { useMemo } from "react";
import type { Opening } from "./holds.ts";

/** What a hook takes for a channel: its name, its options, or undefined while it is not known yet. */
export type ChannelRef = string | ChannelOptions | undefined;

/** Which collection of a channel: its name, or its type, made by `defineCollection`. */
export type CollectionRef<T extends RecordShape, I extends RecordShape = T> = string | CollectionType<T, I>;

/** The name of what was given by name or by type. */
export const nameOf = (ref: string | { readonly name: string }): string => (typeof ref === "string" ? ref : ref.name);

/** A claim on a channel that hooks share, and the collections that they have asked for. */
export class OpenedChannel {
  readonly channel: Channel;
  readonly #collections = new Map<CollectionRef<never>, Collection>();

  constructor(client: RealtimeClient, options: ChannelOptions) {
    this.channel = client.channels.getChannel(options);
  }

  /** Asks for a collection. For effects and event handlers: the channel may have to join again to get it. */
  open<T extends RecordShape>(ref: CollectionRef<T>): Collection<T> {
    const known = this.peek<T>(ref);
    if (known) return known;
    const collection = typeof ref === "string" ? this.channel.collection<T>(ref) : (ref.in(this.channel) as Collection<T>);
    this.#collections.set(ref as CollectionRef<never>, collection as unknown as Collection);
    return collection;
  }

  /** A collection that somebody has asked for. For rendering: it changes nothing. */
  peek<T extends RecordShape>(ref: CollectionRef<T>): Collection<T> | undefined {
    // Which shape the records of a name have is the app's knowledge.
    return this.#collections.get(ref as CollectionRef<never>) as unknown as Collection<T> | undefined;
  }

  close(): void {
    this.channel.release();
  }
}

/**
 * The opening of a channel. The same one in every render while the options say the same, though they be a new object each time.
 * `presence` makes it take part in presence whatever they say.
 */
export function useOpening(ref: ChannelRef, presence?: true): Opening<OpenedChannel> | undefined {
  const key = ref === undefined ? undefined : keyOf(typeof ref === "string" ? { name: ref } : ref, presence);
  return useMemo(() => (key === undefined ? undefined : openingOf(key)), [key]);
}

function keyOf({ name, presence, ack, private: isPrivate, self }: ChannelOptions, takesPart = presence): string {
  return JSON.stringify({ name, presence: takesPart, ack, private: isPrivate, self });
}

function openingOf(key: string): Opening<OpenedChannel> {
  return {
    key,
    open: (client) => {
      const options: ChannelOptions = JSON.parse(key);
      return new OpenedChannel(client, options);
    },
    close: (opened) => opened.close(),
  };
}
