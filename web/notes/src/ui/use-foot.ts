import { type RefObject, useLayoutEffect } from "react";

/** The property of the page that says how high its foot is: what comes in passing stands above it. */
const HEIGHT = "--foot-height";

/** Makes an element the page's foot, as long as it is there, whatever grows in it. */
export function useFoot(foot: RefObject<HTMLElement | null>): void {
  useLayoutEffect(() => {
    const { current } = foot;
    if (!current) return;
    const { style } = document.documentElement;
    const observer = new ResizeObserver(() => style.setProperty(HEIGHT, `${current.offsetHeight}px`));
    observer.observe(current);
    return () => {
      observer.disconnect();
      style.removeProperty(HEIGHT);
    };
  }, [foot]);
}
