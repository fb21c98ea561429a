import type { ReactNode } from "react";
import type { CombinedError } from "urql";
import { texts } from "../texts";
import { Button } from "./button";

/** One thing beside a list, as far as it is there. */
export function Detail<Found>({ of, children }: { of: Found | null | undefined; children(found: Found): ReactNode }) {
  if (of === undefined) return <Loading />;
  return of === null ? <p className="text-muted">{texts.faults.notThere}</p> : children(of);
}

/** What is shown where a page could not be read: why, and what to do. */
export function Failed({ error, onAgain }: { error: CombinedError; onAgain(): void }) {
  return (
    <div role="alert" className="mb-6 rounded-xl border border-line bg-surface p-6">
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
