import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** The binary under test: CHORALE_BIN, or what `make build` makes. */
export const binary = process.env.CHORALE_BIN
  ? resolve(process.env.CHORALE_BIN)
  : fileURLToPath(new URL("../../../bin/chorale", import.meta.url));

/** How long a start may take, in ms: a cold disk and a busy machine included. */
const START_DEADLINE_MS = 20_000;

/**
 * A server process with a data directory of its own. It is killed, started again on the same port with the same data, or
 * stopped; `stop` also removes the directory.
 */
export class Server {
  #args;
  #child = null;
  #exited = null;
  #log = "";

  /** Use `Server.start`. */
  constructor(directory, args) {
    this.directory = directory;
    this.#args = args;
    this.port = 0;
  }

  /**
   * Starts the binary on a free port.
   *
   * @param {{dev?: boolean, secret?: string, rules?: string, flags?: string[]}} [options] dev mode, or the secret that verifies
   *   tokens and the text of the rules file; `flags` go to the command line as they are.
   * @returns {Promise<Server>} a server that listens
   */
  static async start({ dev = false, secret, rules, flags = [] } = {}) {
    const directory = await mkdtemp(join(tmpdir(), "chorale-test-"));
    const args = [...(dev ? ["--dev"] : []), ...(secret ? [`--jwt-secret=${secret}`] : []), ...flags];
    if (rules) {
      const file = join(directory, "rules.yaml");
      await writeFile(file, rules);
      args.push(`--rules=${file}`);
    }
    const server = new Server(directory, args);
    try {
      await server.startAgain();
    } catch (error) {
      await rm(directory, { recursive: true, force: true });
      throw error;
    }
    return server;
  }

  /** Where the server is, without a slash at the end. */
  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  /** What the server logged since its first start. */
  get log() {
    return this.#log;
  }

  /** Starts the process with the same data; on the same port when there was one. */
  async startAgain() {
    if (this.#child) throw new Error("start chorale: it runs");
    const child = spawn(
      binary,
      ["serve", `--addr=127.0.0.1:${this.port}`, `--data=${join(this.directory, "data")}`, "--drain=10ms", ...this.#args],
      { stdio: ["ignore", "pipe", "pipe"] },
    );
    this.#child = child;
    this.#exited = new Promise((done) => {
      child.once("error", (error) => done({ code: null, signal: null, error }));
      child.once("exit", (code, signal) => done({ code, signal }));
    });
    child.stderr.setEncoding("utf8").on("data", (text) => {
      this.#log += text;
    });
    const port = await this.#listening(child);
    if (port === null) {
      child.kill("SIGKILL");
      const { error } = await this.#exited;
      this.#child = null;
      throw new Error(`start ${binary}: ${error?.message ?? "it did not say where it listens"}\n${this.#log}`);
    }
    this.port = port;
  }

  /** The port that the server names on its output; null when it ends, or says nothing for too long. */
  #listening(child) {
    return new Promise((done) => {
      const timer = setTimeout(() => done(null), START_DEADLINE_MS);
      const end = (port) => {
        clearTimeout(timer);
        done(port);
      };
      let output = "";
      child.stdout.setEncoding("utf8").on("data", (text) => {
        output += text;
        const found = /^listening on http:\/\/\S+:(\d+)$/m.exec(output);
        if (found) end(Number(found[1]));
      });
      this.#exited.then(() => end(null));
    });
  }

  /** kill -9, and waits until the process is gone. */
  async kill() {
    this.#child?.kill("SIGKILL");
    await this.#exited;
    this.#child = null;
  }

  /** Asks the process to end and waits for it. Throws when it did not end by itself with 0. */
  async terminate() {
    this.#child?.kill("SIGTERM");
    const { code, signal } = await this.#exited;
    this.#child = null;
    if (code !== 0) throw new Error(`stop chorale: exit code ${code}, signal ${signal}\n${this.#log}`);
  }

  /** Ends the process, when it runs, and removes its data. */
  async stop() {
    try {
      if (this.#child) await this.terminate();
    } finally {
      await rm(this.directory, { recursive: true, force: true });
    }
  }
}
