import { useEffect, useState } from "react";
import { texts } from "../texts";

/** So long after the last letter a search begins, in milliseconds. */
const PAUSE = 250;

/** Words that a list is searched for. */
export function Search({ value, label = texts.filter.search, onChange }: { value: string; label?: string; onChange(value: string): void }) {
  const [typed, setTyped] = useState(value);
  useEffect(() => setTyped(value), [value]);
  useEffect(() => {
    if (typed === value) return;
    const timer = setTimeout(() => onChange(typed.trim()), PAUSE);
    return () => clearTimeout(timer);
  }, [typed, value, onChange]);
  return (
    <input
      type="search"
      aria-label={label}
      placeholder={label}
      className="h-9 w-56 rounded-lg border border-field bg-surface px-3 text-sm placeholder:text-muted"
      value={typed}
      onChange={(event) => setTyped(event.target.value)}
    />
  );
}
