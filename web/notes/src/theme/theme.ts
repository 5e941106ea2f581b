/** What the person chose; `system` follows the device. */
export type Theme = "system" | "light" | "dark";

const KEY = "chorale.theme";

export function loadTheme(storage: Storage): Theme {
  const saved = storage.getItem(KEY);
  return saved === "light" || saved === "dark" ? saved : "system";
}

/** Makes a theme the page's own, and keeps it. */
export function applyTheme(theme: Theme, root: HTMLElement, storage: Storage): void {
  if (theme === "system") {
    delete root.dataset.theme;
    storage.removeItem(KEY);
  } else {
    root.dataset.theme = theme;
    storage.setItem(KEY, theme);
  }
}

/**
 * The other theme than the one that is seen. When that is what the device prefers, the choice is given back to the device, so that
 * the page goes dark in the evening again.
 */
export function otherTheme(theme: Theme, deviceIsDark: boolean): Theme {
  const isDark = theme === "dark" || (theme === "system" && deviceIsDark);
  const wanted = isDark ? "light" : "dark";
  return wanted === (deviceIsDark ? "dark" : "light") ? "system" : wanted;
}
