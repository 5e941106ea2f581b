import { type ReactNode, useEffect, useRef, useState } from "react";
import { createPortal } from "react-dom";
import { CSS } from "./styles.ts";

/** A place in the page where neither the app's styles come in nor the panel's go out, and where keys stay that were meant for the panel. */
export function Shadow({ children }: { children: ReactNode }) {
  const place = useRef<HTMLDivElement>(null);
  const [root, setRoot] = useState<ShadowRoot>();
  useEffect(() => {
    const host = place.current;
    if (!host) return;
    const shadow = host.shadowRoot ?? host.attachShadow({ mode: "open" });
    const sheet = new CSSStyleSheet(); // unlike a <style>, no Content-Security-Policy forbids it
    sheet.replaceSync(CSS);
    shadow.adoptedStyleSheets = [sheet];
    for (const type of KEYS) host.addEventListener(type, stop);
    setRoot(shadow);
    return () => {
      for (const type of KEYS) host.removeEventListener(type, stop);
    };
  }, []);
  return (
    <div ref={place} data-chorale-devtools="">
      {root && createPortal(children, root)}
    </div>
  );
}

const KEYS = ["keydown", "keyup", "keypress"];

/** React has handled it in the shadow root; the page's own shortcuts are not to. */
const stop = (event: Event) => event.stopPropagation();
