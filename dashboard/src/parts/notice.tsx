import { useSyncExternalStore } from "react";

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

/** Where notices are shown, and read aloud. */
export function Notices() {
  const notice = useSyncExternalStore(
    (watcher) => {
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },
    () => current,
  );
  return (
    <div role="status" className="pointer-events-none fixed inset-x-0 bottom-20 z-50 flex justify-center px-4 sm:bottom-6">
      {notice && <p className="rounded-lg bg-text px-4 py-2.5 text-sm text-page shadow-lg">{notice.text}</p>}
    </div>
  );
}
