import { act, renderHook } from "@testing-library/react";
import { Client, CombinedError, type Exchange, type Operation, type OperationResult } from "@urql/core";
import { GraphQLError } from "graphql";
import type { ReactNode } from "react";
import { Provider } from "urql";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { filter, makeSubject, merge, pipe, tap } from "wonka";
import { HomeDocument } from "../pages/home/home.generated";
import { usePage, useRows } from "./page";

let sent: Operation[] = [];
let results = makeSubject<OperationResult>();
let client: Client;

vi.mock("./portal", () => ({ usePortal: () => ({ client }) }));

beforeEach(() => {
  vi.useFakeTimers();
  sent = [];
  results = makeSubject();
  const fake: Exchange = () => (operations) =>
    merge([
      pipe(
        operations,
        tap((operation) => void sent.push(operation)),
        filter(() => false),
      ) as never,
      results.source,
    ]);
  client = new Client({ url: "/graphql", preferGetMethod: false, exchanges: [fake] });
});

afterEach(() => vi.useRealTimers());

// A query that is given up before it can be sent, as urql does while a component is put in place, is none.
const isGivenUp = ({ kind, key }: Operation, next: Operation | undefined) =>
  kind === "query" && next?.kind === "teardown" && next.key === key;
const of = (kind: string) => sent.filter((operation, index) => operation.kind === kind && !isGivenUp(operation, sent[index + 1]));
const answer = (operation: Operation | undefined, result: Partial<OperationResult>) =>
  act(() =>
    results.next({
      operation: operation as Operation,
      stale: false,
      hasNext: operation?.kind === "subscription",
      ...result,
    } as OperationResult),
  );
const data = (eventCursor: string) => ({ data: { eventCursor, me: { tenant: { timeZone: "UTC" } }, dashboard: null } });
const expired = new CombinedError({ graphQLErrors: [new GraphQLError("It is gone.", { extensions: { code: "CURSOR_EXPIRED" } })] });

function open(kinds: ["LEAD"] | null = ["LEAD"]) {
  const wrapper = ({ children }: { children: ReactNode }) => <Provider value={client}>{children}</Provider>;
  const variables = { period: {}, interval: "DAY" } as const;
  return renderHook(() => usePage(HomeDocument, variables, kinds), { wrapper });
}

it("a page is one operation, followed from its own instant on; changes that come together are read together", () => {
  const { result } = open();
  expect([of("query").length, of("subscription").length, result.current.isLoading]).toEqual([1, 0, true]);
  answer(of("query")[0], data("c1"));
  expect(of("subscription").map(({ variables }) => variables)).toEqual([{ kinds: ["LEAD"], since: "c1" }]);
  for (const cursor of ["c2", "c3", "c4"]) answer(of("subscription")[0], { data: { changes: { cursor } } });
  act(() => void vi.advanceTimersByTime(1_000));
  expect(of("query").length).toBe(2);
  answer(of("query").at(-1), data("c4"));
  // The stream went on meanwhile.
  expect(of("subscription").length).toBe(1);
});

it("where the history of before is gone, the page is read anew and followed from that answer on", () => {
  open();
  answer(of("query")[0], data("c1"));
  answer(of("subscription")[0], { error: expired });
  act(() => void vi.advanceTimersByTime(1_000));
  expect([of("query").length, of("subscription").length]).toEqual([2, 1]);
  answer(of("query").at(-1), data("d1"));
  expect(of("subscription").map(({ variables }) => variables?.since)).toEqual(["c1", "d1"]);
});

it("a stream that ends is opened again after the last change that it brought", () => {
  open();
  answer(of("query")[0], data("c1"));
  answer(of("subscription")[0], { data: { changes: { cursor: "c2" } } });
  answer(of("subscription")[0], { hasNext: false });
  act(() => void vi.advanceTimersByTime(5_000));
  expect(of("subscription").map(({ variables }) => variables?.since)).toEqual(["c1", "c2"]);
});

it("a page whose changes are not streamed is read again while it is looked at", () => {
  const visible = vi.spyOn(document, "visibilityState", "get").mockReturnValue("hidden");
  open(null);
  answer(of("query")[0], data("c1"));
  act(() => void vi.advanceTimersByTime(60_000));
  const again = () => of("query").filter(({ context }) => context.requestPolicy === "network-only").length;
  expect(again()).toBe(0);
  visible.mockReturnValue("visible");
  act(() => void vi.advanceTimersByTime(16_000));
  expect([again(), of("subscription").length]).toEqual([1, 0]);
});

it("a list that is filtered otherwise begins anew, and one that is shown further is read from its beginning", () => {
  const { result, rerender } = renderHook(({ filter }) => useRows(filter), { initialProps: { filter: "one" } });
  expect([result.current.first, result.current.more(false)]).toEqual([50, undefined]);
  act(() => result.current.more(true)?.());
  expect(result.current.first).toBe(100);
  rerender({ filter: "other" });
  expect(result.current.first).toBe(50);
});
