/** Server-sent events, of those that a Chorale server sends: lines end with a line feed. */

export interface StreamEvent {
  /** `message` when it has no name. */
  readonly name: string;
  readonly data: string;
}

/** Cuts a stream of text into events, however it arrives. */
export class EventReader {
  /** What has not arrived whole, and how much of it is known to hold no end: a large event comes in many parts. */
  #rest = "";
  #searched = 0;

  push(text: string): StreamEvent[] {
    this.#rest += text;
    const events: StreamEvent[] = [];
    for (let end = this.#findEnd(); end >= 0; end = this.#findEnd()) {
      const event = parse(this.#rest.slice(0, end));
      this.#rest = this.#rest.slice(end + 2);
      this.#searched = 0;
      if (event) events.push(event);
    }
    this.#searched = Math.max(0, this.#rest.length - 1);
    return events;
  }

  #findEnd(): number {
    return this.#rest.indexOf("\n\n", this.#searched);
  }
}

/** Undefined for comments, which keep connections alive. */
function parse(block: string): StreamEvent | undefined {
  let name = "message";
  let data: string | undefined;
  for (const line of block.split("\n")) {
    if (line.startsWith("event: ")) name = line.slice(7);
    else if (line.startsWith("data: ")) data = data === undefined ? line.slice(6) : `${data}\n${line.slice(6)}`;
  }
  return data === undefined ? undefined : { name, data };
}
