import type { TypedDocumentNode } from "@urql/core";
import { useEffect, useRef, useState } from "react";
import { type AnyVariables, type CombinedError, useQuery } from "urql";
import { pipe, subscribe } from "wonka";
import { useViewer } from "../shell/viewer";
import type { ViewerFragment } from "../shell/viewer.generated";
import { ChangesDocument } from "./changes.generated";
import { usePortal } from "./portal";
import type { ChangeKind } from "./schema.generated";

/** Changes that come together are read together, so long after the first, in milliseconds. */
const TOGETHER = 250;
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
  isLoading: boolean;
  reload(): void;
}

/**
 * Reads a page, and keeps it up to date: one operation, and one stream of the changes of these kinds after its instant. What comes is put
 * into the cache at once; then the page is read again, so that lists, totals and orders are right too.
 */
export function usePage<Data extends PageData, Variables extends AnyVariables>(
  query: TypedDocumentNode<Data, Variables>,
  variables: Variables,
  kinds: ChangeKind[] = [],
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
  const isRead = result.data !== undefined && !result.fetching && !result.stale;
  const [since, setSince] = useState<string>();
  const cursor = isRead ? result.data?.eventCursor : undefined;
  useEffect(() => {
    // The stream goes on when the page is read again.
    setSince((begun) => begun ?? cursor);
  }, [cursor]);
  const wanted = kinds.join();
  useEffect(() => {
    if (!since || !wanted) return;
    let waiting: ReturnType<typeof setTimeout> | undefined;
    const readSoon = () => {
      waiting ??= setTimeout(() => {
        waiting = undefined;
        reload.current();
      }, TOGETHER);
    };
    let stream: { unsubscribe(): void } | undefined;
    const open = (since: string | undefined) => {
      const source = client.subscription(ChangesDocument, { kinds: wanted.split(",") as ChangeKind[], since });
      stream = pipe(
        source,
        subscribe(({ error }) => {
          if (error?.graphQLErrors.some(({ extensions }) => extensions.code === "CURSOR_EXPIRED")) {
            // The history of before is gone: the page is followed from now on, and read anew.
            stream?.unsubscribe();
            open(undefined);
          }
          readSoon();
        }),
      );
    };
    open(since);
    return () => {
      clearTimeout(waiting);
      stream?.unsubscribe();
    };
  }, [client, since, wanted]);

  // A page that could not be read at all is tried again.
  const hasFailed = result.error !== undefined && !result.fetching && result.error.networkError !== undefined;
  useEffect(() => {
    if (!hasFailed) return;
    const timer = setTimeout(() => reload.current(), AGAIN);
    return () => clearTimeout(timer);
  }, [hasFailed]);

  return { data: shown.current, error: result.error, isLoading: !shown.current && !result.error, reload: () => reload.current() };
}
