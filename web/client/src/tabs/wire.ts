/** The frames of a shared socket (docs/protocol.md, W1 to W5): the number of a lane, and what is said in it. */

/** How many lanes a socket may have at a time (W4). */
export const MAX_LANES = 32;

export type Said =
  | { readonly lane: number; readonly frame: string }
  | { readonly lane: number; readonly code: number; readonly reason: string };

/** What a server says; undefined when it is no frame of a shared socket. */
export function decodeLane(data: string): Said | undefined {
  const [head, lane, code] = /^(\d{1,9})(?:-(\d+) )?/.exec(data) ?? [];
  if (head === undefined) return undefined;
  const rest = data.slice(head.length);
  if (code === undefined) return { lane: Number(lane), frame: rest };
  return { lane: Number(lane), code: Number(code), reason: rest };
}

export const laneFrame = (lane: number, frame: string) => `${lane}${frame}`;
export const laneOpen = (lane: number, token: string) => `${lane}+${token}`;
export const laneClose = (lane: number) => `${lane}-`;

/** Where a client's socket would lead, apart: the same for all who can share one, and the token, which they need not share. */
export function partsOf(url: string): { readonly server: string; readonly token: string } {
  const [, before = url, token = "", after = ""] = /^(.*?)&apikey=([^&]*)(.*)$/.exec(url) ?? [];
  return { server: before + after, token: decodeURIComponent(token) };
}

/** The address of a shared socket, whose first lane has this token. */
export const sharedUrl = (server: string, token: string) =>
  `${server.replace("/websocket?", "/lanes?")}&apikey=${encodeURIComponent(token)}`;
