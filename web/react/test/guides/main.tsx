import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./first-page.tsx";
import { guestToken } from "./guest.ts";

const root = document.getElementById("root");
if (!root) throw new Error("index.html has no element with the id root");
createRoot(root).render(
  <StrictMode>
    <App url={window.location.origin} getToken={guestToken} />
  </StrictMode>,
);
