// urql: a query by POST and by GET, and a subscription over graphql-ws.
import { Client, cacheExchange, fetchExchange, subscriptionExchange } from "@urql/core";
import { createClient } from "graphql-ws";
import WebSocket from "ws";

import { equal, whileTouching } from "./server.mjs";

export default async function urql(server) {
  const headers = { authorization: `Bearer ${server.partner}` };
  const socket = createClient({ url: server.socket, connectionParams: headers, webSocketImpl: WebSocket });
  const forwardSubscription = (request) => ({
    subscribe: (sink) => ({ unsubscribe: socket.subscribe({ ...request, query: request.query ?? "" }, sink) }),
  });
  for (const preferGetMethod of [false, "force"]) {
    const exchanges = [cacheExchange, fetchExchange, subscriptionExchange({ forwardSubscription })];
    const client = new Client({ url: server.url, exchanges, preferGetMethod, fetchOptions: { headers } });
    const { data, error } = await client.query("query Me($n: Int) { me { role } leads(first: $n) { totalCount } }", { n: 1 }).toPromise();
    if (error) throw error;
    equal(data.me.role, "PARTNER_OWNER", `the role, by ${preferGetMethod ? "GET" : "POST"}`);
    const received = new Promise((resolve) => {
      client.subscription("subscription { leadChanged { lead { id } } }", {}).subscribe(resolve);
    });
    const { value, id } = await whileTouching(server, received, "the event");
    equal(value.data?.leadChanged.lead.id, id, "the lead of the event");
  }
  await socket.dispose();
  return "queries by POST and GET, events";
}
