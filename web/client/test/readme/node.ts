import { createRealtimeClient, type SocketLike } from "@chorale/client";
import WebSocket from "ws";

export function openSocket(url: string): SocketLike {
  const socket = new WebSocket(url);
  const like: SocketLike = {
    send: (data) => socket.send(data),
    close: (code, reason) => socket.close(code, reason),
    onopen: null,
    onmessage: null,
    onclose: null,
  };
  socket.on("open", () => like.onopen?.());
  socket.on("message", (data) => like.onmessage?.(String(data)));
  socket.on("close", (code, reason) => like.onclose?.(code, String(reason)));
  socket.on("error", () => {}); // a close follows
  return like;
}

export const open = (url: string, getToken: () => Promise<string>) =>
  createRealtimeClient({ url, getToken, platform: { openSocket } });
