import type { CombinedError } from "urql";
import { texts } from "../texts";
import { Button } from "./button";

/** What is shown where a page could not be read: why, and what to do. */
export function Failed({ error, onAgain }: { error: CombinedError; onAgain(): void }) {
  return (
    <div role="alert" className="rounded-xl border border-line bg-surface p-6">
      <h2 className="font-semibold">{texts.faults.title}</h2>
      <p className="mt-1 mb-4 text-muted">{error.graphQLErrors[0]?.message ?? texts.faults.away}</p>
      <Button onClick={onAgain}>{texts.faults.again}</Button>
    </div>
  );
}

/** Holds the room of what is being read. */
export function Loading() {
  return (
    <div role="status" aria-label={texts.shell.loading} className="flex flex-col gap-4">
      <div className="h-24 animate-pulse rounded-xl bg-hover" />
      <div className="h-64 animate-pulse rounded-xl bg-hover" />
    </div>
  );
}
