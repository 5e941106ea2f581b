import WebSocket from "ws";
import { Journal } from "../harness/journal.js";

/**
 * How long a socket waits for the answer to its close frame before it is gone, in ms. Browsers take a few seconds, `ws` takes 30; a
 * black-holed link answers never.
 */
const CLOSE_TIMEOUT_MS = 500;

/** A WebSocket for one party, and a journal of those that opened. */
export function countingTransport() {
  const opened = new Journal("opened sockets");
  class CountedSocket extends WebSocket {
    constructor(url, protocols) {
      super(url, protocols, { closeTimeout: CLOSE_TIMEOUT_MS });
      this.once("open", () => opened.add("open"));
    }
  }
  return { transport: CountedSocket, opened };
}
