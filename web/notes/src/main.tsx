import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app.tsx";
import { Session } from "./session/session.ts";
import { takeFlag, takeParameter } from "./take-parameter.ts";
import "./styles.css";

const session = new Session({
  tab: sessionStorage,
  browser: localStorage,
  fetch: window.fetch.bind(window),
  now: Date.now,
  random: Math.random,
});
const root = document.getElementById("root");
if (!root) throw new Error("index.html has no element with the id root");

session.start(takeParameter("as"));
createRoot(root).render(
  <StrictMode>
    <App session={session} url={window.location.origin} devtools={takeFlag("devtools")} />
  </StrictMode>,
);
