// Every client in every case, against one server. The cases are in matrix/cases, the clients in matrix/clients.js.

import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { after, before, describe, it } from "node:test";
import { Server } from "../harness/server.js";
import { secret } from "../harness/token.js";
import { Cell } from "../matrix/cell.js";
import { clients } from "../matrix/clients.js";
import { cases, rules } from "../matrix/matrix.js";
import { label, Table } from "../matrix/table.js";

/** How many rows run beside each other. They mostly wait: for a token's end, for heartbeats, for a second to pass. */
const ROWS = 4;

/** Where the table is shown, between two comments. */
const page = new URL("../../../docs/compatibility.md", import.meta.url);

const table = new Table(
  clients,
  cases.map(({ column }) => column),
);

/** One cell, as a test: that the client can, or, with the reason in the table, that it cannot. */
function cell(server, client, { column, title, not, lacks, note, run }) {
  const reason = not?.(client);
  it(`${label(client)}: ${reason ? `${column}: ${reason}` : title}`, async () => {
    table.set(client, column, "failed");
    const kit = new Cell(server(), client);
    try {
      await (reason ? lacks : run)(kit);
      if (reason) table.set(client, column, "cannot", reason);
      else table.set(client, column, "passed", note?.(client));
    } finally {
      await kit.end();
    }
  });
}

describe("the matrix of clients", { timeout: 180_000 }, () => {
  /** @type {Server} */
  let server;
  const warn = console.warn;

  before(async () => {
    console.warn = () => {}; // the clients warn of Node 20 and of HTTP in place of the socket; both are known here
    server = await Server.start({ secret, rules });
  });
  after(async () => {
    console.warn = warn;
    await server.stop();
    console.log(`\n${table}\n`);
  });

  describe("side by side", { concurrency: ROWS }, () => {
    for (const client of clients) {
      describe(label(client), () => {
        for (const one of cases.filter(({ alone }) => !alone)) cell(() => server, client, one);
      });
    }
  });

  describe("one at a time", () => {
    for (const client of clients) for (const one of cases.filter(({ alone }) => alone)) cell(() => server, client, one);
  });

  it("has no cell without an outcome", () => assert.deepEqual(table.missing, []));

  it("is what docs/compatibility.md shows", async () => {
    const text = await readFile(page, "utf8");
    const shown = /(?<=<!-- matrix:begin -->\n)[\s\S]*(?=\n<!-- matrix:end -->)/;
    if (!process.env.WRITE_MATRIX) {
      assert.equal(shown.exec(text)?.[0], `${table}`, "run it with WRITE_MATRIX=1 when the change is meant");
      return;
    }
    const changed = text.replace(shown, () => `${table}`);
    await writeFile(page, changed);
  });
});
