/**
 * The open WebSockets of all tabs of a person's browser, from now on.
 *
 * @param {import("./person.mjs").Person} person
 * @returns {Set<import("playwright-core").WebSocket>}
 */
export function socketsOf({ page, context }) {
  const open = new Set();
  const watch = (page) => {
    page.on("websocket", (socket) => {
      open.add(socket);
      for (const owner of [socket, page]) owner.on("close", () => open.delete(socket));
    });
  };
  watch(page);
  context.on("page", watch);
  return open;
}
