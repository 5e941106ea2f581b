/** The newest strings that were added, up to a number. */
export class Recent {
  readonly #max: number;
  readonly #items = new Set<string>();

  constructor(max: number) {
    this.#max = max;
  }

  has(item: string): boolean {
    return this.#items.has(item);
  }

  /** False when it was there already. */
  add(item: string): boolean {
    if (this.#items.has(item)) return false;
    this.#items.add(item);
    const [oldest] = this.#items;
    if (this.#items.size > this.#max && oldest !== undefined) this.#items.delete(oldest);
    return true;
  }
}
