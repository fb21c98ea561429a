import type { TypedDocumentNode } from "@urql/core";
import { useEffect, useRef, useState } from "react";
import { type AnyVariables, type CombinedError, useQuery } from "urql";
import { onEnd, pipe, subscribe } from "wonka";
import { useViewer } from "../shell/viewer";
import type { ViewerFragment } from "../shell/viewer.generated";
import { ChangesDocument } from "./changes.generated";
import { usePortal } from "./portal";
import type { ChangeKind } from "./schema.generated";

/** Changes that come together are read together, so long after the first, in milliseconds. */
const TOGETHER = 250;
/** How often a page is read again whose changes are not among those of the stream, in milliseconds. */
const LOOK = 15_000;
/** How soon a page is read again that could not be. */
const AGAIN = 2_000;

/** What every page's operation has besides its own: who looks at it, and the instant of its answer. */
interface PageData {
  me: ViewerFragment;
  eventCursor?: string;
}

/** A page's one operation, and what became of it. */
export interface Page<Data> {
  /** The last answer; while other variables are read, the one before. */
  data: Data | undefined;
  error: CombinedError | undefined;
  /** Whether nothing can be shown yet. */
  isLoading: boolean;
  /** Whether a newer answer is on its way. */
  isReading: boolean;
  reload(): void;
}

/** How many rows a list begins with, and how many more are shown at a time; no list has more than the API gives at once. */
const ROWS = 50;
const MOST_ROWS = 500;

/**
 * How many rows of a list are read: more and more of them from its beginning, so that reading the page again reads all that is shown. `filter` is what
 * the list is read by; another one begins anew.
 */
export function useRows(filter: unknown): { first: number; more(hasMore: boolean): (() => void) | undefined } {
  const key = JSON.stringify(filter);
  const [shown, setShown] = useState({ key, first: ROWS });
  const first = shown.key === key ? shown.first : ROWS;
  const more = (hasMore: boolean) =>
    hasMore && first < MOST_ROWS ? () => setShown({ key, first: Math.min(MOST_ROWS, first + ROWS) }) : undefined;
  return { first, more };
}

/** What a page has of one thing that is looked at: it, `null` where there is none of that id, or nothing while it is read. */
export function detail<Found extends { id: string }>(
  isReading: boolean,
  id: string,
  found: Found | null | undefined,
): Found | null | undefined {
  if (found?.id === id) return found;
  return isReading ? undefined : null;
}

/**
 * Reads a page, and keeps it up to date: one operation, and one stream of the changes of these kinds after its instant. What comes is put
 * into the cache at once; then the page is read again, so that lists, totals and orders are right too. Without kinds it is read again now and then while it
 * is looked at.
 */
export function usePage<Data extends PageData, Variables extends AnyVariables>(
  query: TypedDocumentNode<Data, Variables>,
  variables: Variables,
  kinds: ChangeKind[] | null = null,
): Page<Data> {
  const { client } = usePortal();
  const [, setViewer] = useViewer();
  const [result, execute] = useQuery({ query, variables, requestPolicy: "cache-and-network" });
  const shown = useRef<Data | undefined>(undefined);
  if (result.data) shown.current = result.data;
  const viewer = result.data?.me;
  useEffect(() => {
    if (viewer) setViewer(viewer);
  }, [viewer, setViewer]);

  const reload = useRef(() => {});
  reload.current = () => execute({ requestPolicy: "network-only" });
  // What the cache had first may be of any instant.
  const isReading = result.fetching || result.stale;
  const [since, setSince] = useState<string>();
  const expired = useRef<string>(undefined);
  const cursor = isReading ? undefined : result.data?.eventCursor;
  useEffect(() => {
    // The stream goes on when the page is read again.
    if (cursor !== expired.current) setSince((begun) => begun ?? cursor);
  }, [cursor]);
  const wanted = kinds?.join() ?? "";
  const isLooking = kinds === null;
  useEffect(() => {
    if (!since || !wanted) return;
    const timers = new Set<ReturnType<typeof setTimeout>>();
    const after = (wait: number, what: () => void) => {
      const timer = setTimeout(() => {
        timers.delete(timer);
        what();
      }, wait);
      timers.add(timer);
      return timer;
    };
    let isDue = false;
    const readSoon = () => {
      if (isDue) return;
      isDue = true;
      after(TOGETHER, () => {
        isDue = false;
        reload.current();
      });
    };
    let last: string | undefined = since;
    let stream: { unsubscribe(): void } | undefined;
    const open = () => {
      const source = client.subscription(ChangesDocument, { kinds: wanted.split(",") as ChangeKind[], since: last });
      stream = pipe(
        source,
        onEnd(() => after(AGAIN, open)),
        subscribe(({ data, error }) => {
          last = data?.changes.cursor ?? last;
          if (error?.graphQLErrors.some(({ extensions }) => extensions.code === "CURSOR_EXPIRED")) {
            // The history of before is gone: the page is read anew, and followed from that instant on.
            expired.current = since;
            setSince(undefined);
            reload.current();
          } else readSoon();
        }),
      );
    };
    open();
    return () => {
      stream?.unsubscribe();
      for (const timer of timers) clearTimeout(timer);
    };
  }, [client, since, wanted]);

  useEffect(() => {
    if (!isLooking) return;
    const look = () => document.visibilityState === "visible" && reload.current();
    const timer = setInterval(look, LOOK);
    document.addEventListener("visibilitychange", look);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", look);
    };
  }, [isLooking]);

  // A page that could not be read at all is tried again.
  const hasFailed = result.error !== undefined && !result.fetching && result.error.networkError !== undefined;
  useEffect(() => {
    if (!hasFailed) return;
    const timer = setTimeout(() => reload.current(), AGAIN);
    return () => clearTimeout(timer);
  }, [hasFailed]);

  return {
    data: shown.current,
    error: result.error,
    isLoading: !shown.current && !result.error,
    isReading,
    reload: () => reload.current(),
  };
}
