import type { NextRequest } from "next/server";
import { tokenRoute } from "../../../../test/guides/token-route.ts";

const whoIs = async ({ cookies }: NextRequest) => (cookies.has("session") ? { id: "u1", name: "Ada" } : undefined);

export const POST = tokenRoute(whoIs, process.env.CHORALE_JWT_SECRET ?? "");
