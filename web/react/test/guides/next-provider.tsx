"use client";

import { ChoraleError } from "@chorale/client";
import { RealtimeProvider } from "@chorale/react";
import type { ReactNode } from "react";

export async function getToken(): Promise<string> {
  const response = await fetch("/chorale-token", { method: "POST" });
  if (response.status === 401) throw new ChoraleError("signed_out", "sign in again");
  if (!response.ok) throw new Error(`no token: HTTP ${response.status}`);
  const { token }: { token: string } = await response.json();
  return token;
}

/** `userId` as key: another person gets another client. */
export function Realtime({ url, userId, children }: { url: string; userId: string; children: ReactNode }) {
  return (
    <RealtimeProvider key={userId} url={url} getToken={getToken}>
      {children}
    </RealtimeProvider>
  );
}
