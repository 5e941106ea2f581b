import type { Metadata } from "next";
import type { ReactNode } from "react";
import { Realtime } from "../../../test/guides/next-provider.tsx";

export const metadata: Metadata = { title: "Interviews" };

export default function Layout({ children }: { children: ReactNode }) {
  return (
    <html lang="en">
      <body>
        <Realtime url="http://127.0.0.1:4000" userId="u1">
          {children}
        </Realtime>
      </body>
    </html>
  );
}
