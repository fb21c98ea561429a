// urql: a fresh token for each request and connection, and subscriptions.
import { Client, cacheExchange, fetchExchange, subscriptionExchange } from "@urql/core";
import { createClient } from "graphql-ws";

import { makePositions } from "./position.mjs";

export function makeClient({ url, socketUrl, getToken, webSocketImpl }) {
  const { portalFetch, message } = makePositions();
  const socket = createClient({
    url: socketUrl,
    webSocketImpl,
    connectionParams: async () => ({ authorization: `Bearer ${await getToken()}` }),
    retryAttempts: Infinity,
    on: { message },
  });
  const forwardSubscription = (request) => ({
    subscribe: (sink) => ({ unsubscribe: socket.subscribe({ ...request, query: request.query ?? "" }, sink) }),
  });
  const client = new Client({
    url,
    fetch: async (url, options) => portalFetch(url, { ...options, headers: { ...options.headers, authorization: `Bearer ${await getToken()}` } }),
    exchanges: [cacheExchange, fetchExchange, subscriptionExchange({ forwardSubscription })],
  });
  return { client, stop: () => socket.dispose() };
}
