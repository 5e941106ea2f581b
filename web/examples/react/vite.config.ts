import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

/** `chorale serve --dev`: it gives guests their tokens only on its own origin, so requests go through this one. */
const server = process.env.CHORALE_URL ?? "http://127.0.0.1:4000";
const proxy = { "/dev/token": server, "/api": server, "/socket": { target: server, ws: true } };

export default defineConfig({ plugins: [react()], server: { proxy }, preview: { proxy } });
