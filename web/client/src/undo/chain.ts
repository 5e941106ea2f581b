/** One slot of a record: what this client has put there, one upon the other, and what of that the log has. No clock, no socket. */
import { isSameJson } from "../collection/json";
import type { Json } from "../types";

/** Whose step it is that has written something. */
export interface Owner {
  /** False while it is taken back. */
  readonly stands: boolean;
  /** It is in no step any more, and stays as it is from now on. */
  readonly isGone: boolean;
  /** When it was taken back, or done again, last. */
  readonly turn?: Turn | undefined;
}

/** One time of taking a step back, or of doing it again. An object of its own each time. */
export interface Turn {
  readonly owner: Owner;
}

/** What has become of a write: it is in the log, or it is not because of something newer, the server's no, or a deletion. */
export type Fate = "applied" | "lost" | "refused" | "gone";

interface Layer {
  value: Json | undefined;
  /** Undefined for what cannot be taken back: what somebody else wrote, or this client in no step. */
  owner?: Owner | undefined;
  /** The write that brings it, until that has settled. */
  write?: string | undefined;
}

/** A write on its way. */
interface Sent {
  readonly id: string;
  /** What is to be seen then. */
  readonly layer: Layer;
  readonly turn?: Turn | undefined;
}

/**
 * The layers of a slot, oldest first. Each write of this client is one; so is what it stands on, and what others wrote between. A layer
 * is void when its write comes to nothing, hidden while its step is taken back. What was seen is a guess until the log has told: then
 * what others wrote comes to lie where it is.
 *
 * The invariant, when all has settled: the slot in the log holds the uppermost layer that is not hidden, unless somebody else has
 * written since or the server has refused that. Taking back, doing again and correcting are all the same: to write `wanted` wherever
 * that is not what is held.
 */
export class Chain {
  #layers: Layer[];
  /** What the log has, of what this client knows. */
  #log: Layer;
  #sent: Sent[] = [];

  /** `value` is what was there before this client wrote. */
  constructor(value: Json | undefined) {
    this.#log = { value };
    this.#layers = [this.#log];
  }

  /** What the slot should hold. Undefined when it has never held anything. */
  get wanted(): Json | undefined {
    return this.#top().value;
  }

  /** What it holds once all that is on its way has arrived. */
  get held(): Json | undefined {
    return (this.#sent.at(-1)?.layer ?? this.#log).value;
  }

  /** What is to be written. */
  get due(): Json | undefined {
    return isSameJson(this.held, this.wanted) ? undefined : this.wanted;
  }

  /** Whether nothing can come of it any more. */
  get isIdle(): boolean {
    return this.#sent.length === 0 && this.due === undefined && this.#layers.every(({ owner }) => !owner);
  }

  has(owner: Owner): boolean {
    return this.#layers.some((layer) => layer.owner === owner);
  }

  /** This client has written. The same value again belongs to whoever has put it there. */
  wrote(id: string, value: Json, owner: Owner | undefined): void {
    const top = this.#top();
    const isSame = isSameJson(top.value, value);
    const layer = { value, owner: isSame ? top.owner : owner, write: id };
    this.#layers.splice(isSame ? this.#layers.indexOf(top) + 1 : this.#layers.length, 0, layer);
    this.#send({ id, layer });
  }

  /** `wanted` was written: by this turn, or as a correction. */
  sent(id: string, turn: Turn | undefined): void {
    this.#send({ id, layer: this.#top(), turn });
  }

  /** What is seen now is not what this client has put there: it lies over all of that. */
  cover(value: Json | undefined, at = this.#layers.length): void {
    this.#log = { value };
    this.#layers.splice(at, 0, this.#log);
  }

  /** Whether something that stands lies over what an owner has written. */
  isBuried(owner: Owner): boolean {
    const at = this.#layers.map((layer) => layer.owner).lastIndexOf(owner);
    return this.#layers.slice(at + 1).some(stands);
  }

  /** Takes out what an owner has written: it can be neither taken back nor done again. */
  drop(owner: Owner): void {
    this.#layers = this.#layers.filter((layer) => layer.owner !== owner);
  }

  /** What an owner has written stays. */
  fix(owner: Owner): void {
    for (const layer of this.#layers) if (layer.owner === owner) layer.owner = undefined;
  }

  /** A write has settled. `before` is what the log had there before, where that is known. */
  settled(id: string, fate: Fate, before: { readonly value: Json | undefined; readonly isTheirs: boolean } | undefined): void {
    const sent = this.#sent.find((one) => one.id === id);
    if (!sent) return;
    this.#sent = this.#sent.filter((one) => one !== sent);
    if (fate === "applied") {
      if (before?.isTheirs) this.#slip(before.value);
      else if (before && !this.#log.owner) this.#log.value = before.value;
      for (const layer of this.#layers) if (layer.write === id) layer.write = undefined;
      this.#log = sent.layer;
      return;
    }
    this.#layers = this.#layers.filter(({ write }) => write !== id);
    if (sent.turn && sent.turn.owner.turn === sent.turn) this.drop(sent.turn.owner);
    if (fate === "lost") this.#slip(before ? before.value : this.#ground().value);
    else if (sent.layer.write !== id && (sent.turn || fate === "refused")) this.#accept();
  }

  /** Makes of the layers as few as will do, once all has settled. */
  tidy(): void {
    for (const { owner } of this.#layers) if (owner?.isGone && owner.stands) this.fix(owner);
    const { value } = this.#top();
    if (this.#sent.length > 0 || !isSameJson(this.#log.value, value)) return;
    this.#layers = this.#layers
      .filter(({ owner }) => !owner?.isGone) // it will not be done again
      .filter(({ owner }, at, all) => at + 1 === all.length || owner !== all[at + 1]?.owner)
      .filter((layer, at, all) => !layer.owner || !isSameJson(layer.value, all[at - 1]?.value));
    this.#log = this.#top();
  }

  /** What could not be replaced stays, unless something else that undo has sent may still do so. */
  #accept(): void {
    if (this.#sent.some(({ id, layer }) => layer.write !== id)) return;
    if (!isSameJson(this.#log.value, this.#ground().value)) this.#slip(this.#log.value);
  }

  /** What cannot be taken back lies over what has settled, and under what has not. */
  #slip(value: Json | undefined): void {
    const at = this.#layers.findIndex(({ write }) => write !== undefined);
    this.cover(value, at < 0 ? this.#layers.length : at);
  }

  #send(sent: Sent): void {
    // Writes that wait may have become one.
    this.#sent = [...this.#sent.filter(({ id }) => id !== sent.id), sent];
  }

  #top(layers = this.#layers): Layer {
    return layers.filter(stands).at(-1) ?? this.#log;
  }

  /** The uppermost of what has settled. */
  #ground(): Layer {
    return this.#top(this.#layers.filter(({ write }) => !write));
  }
}

function stands({ owner }: Layer): boolean {
  return !owner || owner.stands;
}
