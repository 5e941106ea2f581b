import { useEffect, useState } from "react";
import { useShortcut } from "../keyboard/use-shortcut.ts";
import { IconButton } from "../ui/button.tsx";
import { useMedia } from "../ui/use-media.ts";
import { applyTheme, loadTheme, otherTheme } from "./theme.ts";

export function ThemeToggle() {
  const [theme, setTheme] = useState(() => loadTheme(localStorage));
  const deviceIsDark = useMedia("(prefers-color-scheme: dark)");
  useEffect(() => applyTheme(theme, document.documentElement, localStorage), [theme]);

  const toggle = () => setTheme(otherTheme(theme, deviceIsDark));
  useShortcut("t", toggle);
  const isDark = theme === "dark" || (theme === "system" && deviceIsDark);
  return <IconButton icon={isDark ? "sun" : "moon"} label={isDark ? "Light theme" : "Dark theme"} onClick={toggle} />;
}
