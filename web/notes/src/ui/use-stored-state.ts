import { useEffect, useState } from "react";

/** State that survives a reload of this tab. `key` must not change while mounted. */
export function useStoredState<T>(
  key: string,
  parse: (text: string | null) => T,
  format: (value: T) => string | null,
): [T, (value: T | ((before: T) => T)) => void] {
  const [value, setValue] = useState(() => parse(sessionStorage.getItem(key)));
  useEffect(() => {
    const text = format(value);
    if (text === null) sessionStorage.removeItem(key);
    else sessionStorage.setItem(key, text);
  }, [key, value, format]);
  return [value, setValue];
}
