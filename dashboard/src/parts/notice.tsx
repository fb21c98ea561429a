import { useLayoutEffect, useState, useSyncExternalStore } from "react";

/** How long a notice stays, in milliseconds. */
const SHOWN = 5_000;

let current: { id: number; text: string } | null = null;
const watchers = new Set<() => void>();

function set(next: typeof current) {
  current = next;
  for (const watcher of watchers) watcher();
}

/** Says for a moment what has been done. */
export function notify(text: string) {
  const id = (current?.id ?? 0) + 1;
  set({ id, text });
  setTimeout(() => current?.id === id && set(null), SHOWN);
}

const hosts: symbol[] = [];

/** Where notices are shown, and read aloud: in the sheet that is open, or else on the page. */
export function Notices() {
  const [host] = useState(() => Symbol());
  useLayoutEffect(() => {
    hosts.push(host);
    set(current && { ...current });
    return () => {
      hosts.splice(hosts.indexOf(host), 1);
      // What was said in a sheet that is closed is said where it is seen now.
      set(current && { ...current });
    };
  }, [host]);
  const notice = useSyncExternalStore(watch, () => current);
  return (
    <div role="status" className="pointer-events-none fixed inset-x-0 bottom-20 z-50 flex justify-center px-4 sm:bottom-6">
      {notice && hosts.at(-1) === host && <p className="rounded-lg bg-text px-4 py-2.5 text-sm text-page shadow-lg">{notice.text}</p>}
    </div>
  );
}

function watch(watcher: () => void) {
  watchers.add(watcher);
  return () => {
    watchers.delete(watcher);
  };
}
