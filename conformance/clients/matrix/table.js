/**
 * The table: what became of each cell, as markdown. A cell is ✓, ✗, or – where a client cannot do a thing; numbers lead to the
 * reasons below the table.
 */
export class Table {
  #columns;
  #rows;

  /**
   * @param {import("./clients.js").Client[]} clients
   * @param {string[]} columns
   */
  constructor(clients, columns) {
    this.#columns = columns;
    this.#rows = new Map(clients.map((client) => [client, new Map()]));
  }

  /** Says what became of a cell: "passed", perhaps with a note, "failed", or "cannot" with the reason. */
  set(client, column, outcome, note) {
    this.#rows.get(client).set(column, { sign: { passed: "✓", failed: "✗", cannot: "–" }[outcome], note });
  }

  /** The cells that nobody filled, as `client: column`. */
  get missing() {
    return [...this.#rows].flatMap(([client, row]) =>
      this.#columns.filter((column) => !row.has(column)).map((column) => `${label(client)}: ${column}`),
    );
  }

  toString() {
    const notes = [];
    const lines = [
      ["client", "vsn", ...this.#columns],
      ["---", "---", ...this.#columns.map(() => ":-:")],
    ];
    for (const [client, row] of this.#rows) {
      lines.push([
        `${client.name} ${client.version}`,
        client.vsn[0],
        ...this.#columns.map((column) => mark(row.get(column), notes)),
      ]);
    }
    const table = lines.map((line) => `| ${line.join(" | ")} |`).join("\n");
    return [table, "", ...notes.map((note, i) => `${i + 1}. ${note}`)].join("\n");
  }
}

/** A cell as it is printed; a note gets the number of its first appearance. */
function mark(cell, notes) {
  if (!cell) return "?";
  if (!cell.note) return cell.sign;
  if (!notes.includes(cell.note)) notes.push(cell.note);
  return `${cell.sign} ${notes.indexOf(cell.note) + 1}`;
}

/** A row's name in failures. */
export const label = ({ name, version, vsn }) => `${name} ${version}, vsn ${vsn}`;
