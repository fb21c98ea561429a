// urql: a fresh token for each request and connection, and subscriptions.
import { Client, cacheExchange, fetchExchange, subscriptionExchange } from "@urql/core";
import { createClient } from "graphql-ws";

import { portalFetch } from "./position.mjs";

export function makeClient({ url, socketUrl, getToken, webSocketImpl }) {
  const socket = createClient({
    url: socketUrl,
    webSocketImpl,
    connectionParams: async () => ({ authorization: `Bearer ${await getToken()}` }),
    retryAttempts: Infinity,
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
