// Apollo Client: a query, an error with its code, automatic persisted queries, a subscription over graphql-ws.
import { createHash } from "node:crypto";

import { ApolloClient, ApolloLink, CombinedGraphQLErrors, HttpLink, InMemoryCache, gql } from "@apollo/client";
import { PersistedQueryLink } from "@apollo/client/link/persisted-queries";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { createClient } from "graphql-ws";
import WebSocket from "ws";

import { equal, whileTouching } from "./server.mjs";

export default async function apollo(server) {
  const sent = [];
  const headers = { authorization: `Bearer ${server.partner}` };
  const http = new HttpLink({
    uri: server.url,
    headers,
    fetch: (url, options) => {
      sent.push(JSON.parse(options.body));
      return fetch(url, options);
    },
  });
  const socket = createClient({ url: server.socket, connectionParams: headers, webSocketImpl: WebSocket });
  const persisted = new PersistedQueryLink({ sha256: (text) => createHash("sha256").update(text).digest("hex") });
  const link = ApolloLink.split(
    ({ operationType }) => operationType === "subscription",
    new GraphQLWsLink(socket),
    persisted.concat(http),
  );
  const client = new ApolloClient({ link, cache: new InMemoryCache() });

  const query = gql`query Leads($first: Int) { leads(first: $first) { nodes { id status partner { id companyName } } pageInfo { endCursor hasNextPage } } }`;
  const { data } = await client.query({ query, variables: { first: 3 } });
  equal(data.leads.nodes.length, 3, "the page");
  await client.query({ query, variables: { first: 2 } });
  equal(sent.map((body) => Boolean(body.query)).join(), "false,true,false", "the text is sent once, when the hash is not known");

  const error = await client.query({ query: gql`{ lead(id: "nonsense") { id } }` }).catch((error) => error);
  equal(CombinedGraphQLErrors.is(error) && error.errors[0].extensions.code, "BAD_USER_INPUT", "the code");

  const subscription = gql`subscription { leadChanged { cursor lead { id } } }`;
  const received = new Promise((resolve, reject) => {
    client.subscribe({ query: subscription }).subscribe({ next: resolve, error: reject });
  });
  const { value, id } = await whileTouching(server, received, "the event");
  equal(value.data.leadChanged.lead.id, id, "the lead of the event");
  await socket.dispose();
  client.stop();
  return "a page, a persisted query, an error's code, an event";
}
