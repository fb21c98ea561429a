// Apollo Client 4: a fresh token for each request and connection, persisted queries, subscriptions, endless lists, optimistic changes.
import { createHash } from "node:crypto";

import { ApolloClient, ApolloLink, HttpLink, InMemoryCache, gql } from "@apollo/client";
import { PersistedQueryLink } from "@apollo/client/link/persisted-queries";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { relayStylePagination } from "@apollo/client/utilities";
import { createClient } from "graphql-ws";

import { makePositions } from "./position.mjs";

// `getToken` is that of the sign-in service: Clerk's gives the token that it has, or a new one where that is about to end.
export function makeClient({ url, socketUrl, getToken, webSocketImpl }) {
  const { portalFetch, message } = makePositions();
  const http = new HttpLink({
    uri: url,
    fetch: async (url, options) => portalFetch(url, { ...options, headers: { ...options.headers, authorization: `Bearer ${await getToken()}` } }),
  });
  const socket = createClient({
    url: socketUrl,
    webSocketImpl,
    connectionParams: async () => ({ authorization: `Bearer ${await getToken()}` }),
    retryAttempts: Infinity,
    on: { message },
  });
  // In a browser: `crypto-hash`, or the manifest of `@apollo/generate-persisted-query-manifest`.
  const persisted = new PersistedQueryLink({ sha256: (text) => createHash("sha256").update(text).digest("hex") });
  const link = ApolloLink.split(({ operationType }) => operationType === "subscription", new GraphQLWsLink(socket), persisted.concat(http));
  // Everything with an id is normalised by it. Lists grow page by page, one list for each filter and order.
  const endless = relayStylePagination(["filter", "orderBy"]);
  const cache = new InMemoryCache({ typePolicies: { Query: { fields: { leads: endless, commissions: endless, payouts: endless } } } });
  return { client: new ApolloClient({ link, cache }), stop: () => socket.dispose() };
}

export const LEADS = gql`
  query Leads($after: String) {
    leads(first: 20, after: $after) { edges { cursor node { id clientName status updatedAt } } pageInfo { endCursor hasNextPage } }
  }
`;
const STEP = gql`
  mutation Step($id: ID!, $status: LeadStatus!) {
    updateLeadStatus(input: { id: $id, status: $status }) { lead { id status updatedAt } userErrors { message field code } }
  }
`;

// The next page, appended to what is there: for the list's end coming into view.
export async function more(query) {
  const { pageInfo } = query.getCurrentResult().data.leads;
  if (pageInfo.hasNextPage) await query.fetchMore({ variables: { after: pageInfo.endCursor } });
}

// Shows the new status at once, and takes it back where the server does not agree. The step can be sent again: it is done once.
export async function step(client, lead, status) {
  const { data } = await client.mutate({
    mutation: STEP,
    variables: { id: lead.id, status },
    optimisticResponse: { updateLeadStatus: { __typename: "UpdateLeadStatusPayload", lead: { ...lead, status }, userErrors: [] } },
  });
  return data.updateLeadStatus.userErrors;
}
