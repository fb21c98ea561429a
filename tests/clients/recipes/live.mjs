// A page that stays up to date: one query, then one stream from the query's own instant on. It survives deploys, tokens that end, sleep and
// restores; nothing is missed, nothing comes twice.
import { createClient as createStreams } from "graphql-sse";
import { createClient as createSocket } from "graphql-ws";

import { message } from "./plain.mjs";

const CHANGES = `subscription ($since: String) {
  changes(since: $since) {
    cursor
    ... on LeadChange { lead { id status } }
    ... on CommissionChange { commission { id status } }
    ... on PayoutChange { payout { id status } }
    ... on CreditBalanceChange { partner { id creditBalance } }
  }
}`;

// Over WebSocket (graphql-ws).
export function sockets({ socketUrl, getToken, webSocketImpl }) {
  return createSocket({
    url: socketUrl,
    webSocketImpl,
    connectionParams: async () => ({ authorization: `Bearer ${await getToken()}` }),
    retryAttempts: Infinity,
  });
}

// Over Server-Sent Events (graphql-sse), where WebSockets do not get through.
export function streams({ url, getToken }) {
  return createStreams({ url, headers: async () => ({ authorization: `Bearer ${await getToken()}` }), retryAttempts: Infinity });
}

// `readPage` reads and shows everything and gives the `eventCursor` of its query; `apply` shows one change. Gives what ends it.
export function keepUpToDate(client, readPage, apply) {
  let dispose = () => {};
  let isOver = false;
  const begin = async () => {
    let since = await readPage().catch(() => undefined);
    // The server may be away, just when the page is to be read anew.
    if (since === undefined && !isOver) return void setTimeout(begin, 2_000);
    if (isOver) return;
    // Read anew each time that the client connects again: the stream goes on after the last change that was shown.
    const variables = {
      get since() {
        return since;
      },
    };
    const hasExpired = (errors) => Array.isArray(errors) && errors.some(({ extensions }) => extensions?.code === "CURSOR_EXPIRED");
    const next = ({ data, errors, extensions }) => {
      // What is read because of it is not to be without it.
      message({ payload: { extensions } });
      if (hasExpired(errors)) return restart();
      if (!data?.changes) return undefined;
      since = data.changes.cursor;
      return apply(data.changes);
    };
    // Anything else is a fault of the document or of the sign-in: nothing that goes away by itself.
    const error = (why) => (hasExpired(why) ? restart() : console.error(why));
    dispose = client.subscribe({ query: CHANGES, variables }, { next, error, complete: () => {} });
  };
  const restart = () => {
    dispose();
    return begin();
  };
  begin();
  return () => {
    isOver = true;
    dispose();
  };
}
