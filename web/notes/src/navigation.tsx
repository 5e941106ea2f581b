import { type AnchorHTMLAttributes, type MouseEvent, useSyncExternalStore } from "react";
import { formatRoute, parseRoute, type Route } from "./route.ts";

/** Told when the app itself changes the path; the browser only tells about its own back and forward. */
const NAVIGATED = "chorale:navigated";

function subscribe(listener: () => void) {
  window.addEventListener("popstate", listener);
  window.addEventListener(NAVIGATED, listener);
  return () => {
    window.removeEventListener("popstate", listener);
    window.removeEventListener(NAVIGATED, listener);
  };
}

/** Where we are. */
export function useRoute(): Route {
  return parseRoute(useSyncExternalStore(subscribe, () => window.location.pathname));
}

/** Goes to another page. */
export function navigate(to: Route): void {
  history.pushState(null, "", formatRoute(to));
  window.scrollTo(0, 0);
  window.dispatchEvent(new Event(NAVIGATED));
}

type LinkProps = Omit<AnchorHTMLAttributes<HTMLAnchorElement>, "href" | "onClick"> & { to: Route };

/** A link within the app. It is a real one: it can be opened in another tab, copied and followed by keyboard. */
export function Link({ to, children, ...rest }: LinkProps) {
  const follow = (event: MouseEvent) => {
    const forBrowser = event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey;
    if (forBrowser || event.defaultPrevented) return;
    event.preventDefault();
    navigate(to);
  };
  return (
    <a href={formatRoute(to)} onClick={follow} {...rest}>
      {children}
    </a>
  );
}
