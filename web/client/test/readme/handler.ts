import { BaseMessageHandler, type Channel, type Message, messageFactory, type ResyncReason } from "@chorale/client";

interface Vote {
  option: string;
}

export class Votes extends BaseMessageHandler<Vote> {
  readonly event = "vote";
  readonly counts = new Map<string, number>();

  override parse(payload: unknown): Vote {
    if (typeof payload === "object" && payload !== null && "option" in payload && typeof payload.option === "string") {
      return { option: payload.option };
    }
    throw new Error("this is not a vote");
  }

  handleMessage({ payload }: Message<Vote>): void {
    this.#count(payload.option, 1);
  }

  /** Messages were missed: what was counted from them has to be loaded again. */
  override onResync(_reason: ResyncReason): void {
    this.counts.clear();
  }

  /** Counted at once; the message takes the guess's place when it comes back. */
  async vote(channel: Channel, option: string): Promise<void> {
    const { id } = messageFactory.create(this.event, { option }, { channel: channel.name });
    this.applyOptimistic(
      id,
      () => this.#count(option, 1),
      () => this.#count(option, -1),
    );
    await channel.publish(this.event, { option }, { id }).catch((error) => {
      this.rejectOptimistic(id);
      throw error;
    });
  }

  #count(option: string, by: number): void {
    this.counts.set(option, (this.counts.get(option) ?? 0) + by);
  }
}
