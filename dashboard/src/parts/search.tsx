import { useEffect, useRef, useState } from "react";
import { texts } from "../texts";

/** So long after the last letter a search begins, in milliseconds. */
const PAUSE = 250;

/** Words that a list is searched for. */
export function Search({ value, label = texts.filter.search, onChange }: { value: string; label?: string; onChange(value: string): void }) {
  const [typed, setTyped] = useState(value);
  const sent = useRef(value);
  const change = useRef(onChange);
  change.current = onChange;
  useEffect(() => {
    // Set from elsewhere, as by going back.
    if (value === sent.current) return;
    sent.current = value;
    setTyped(value);
  }, [value]);
  useEffect(() => {
    const words = typed.trim();
    if (words === sent.current) return;
    const timer = setTimeout(() => {
      sent.current = words;
      change.current(words);
    }, PAUSE);
    return () => clearTimeout(timer);
  }, [typed]);
  return (
    <input
      type="search"
      maxLength={200}
      aria-label={label}
      placeholder={label}
      className="h-9 w-56 rounded-lg border border-field bg-surface px-3 text-sm placeholder:text-muted"
      value={typed}
      onChange={(event) => setTyped(event.target.value)}
    />
  );
}

/** Whether a change of the address is none to go back to: letters of a search, and what is closed. */
export function isMinor(changed: object): boolean {
  return "q" in changed || Object.values(changed).every((value) => value === undefined);
}
