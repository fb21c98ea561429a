// Subscriptions of the real clients go on through a deploy (the server stops and another starts in its place) and through tokens of 25 seconds,
// of which a new one is asked for at each connection. Nothing tells the application but the events themselves.
import { ApolloClient, InMemoryCache, gql } from "@apollo/client";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { createClient as createSseClient } from "graphql-sse";
import { createClient } from "graphql-ws";
import WebSocket from "ws";

import { start, whileTouching } from "./server.mjs";

const TOKEN_SECONDS = 25;
const QUERY = "subscription { leadChanged { cursor lead { id } } }";

export default async function deploy({ program }) {
  let server = await start(program);
  try {
    // As a front end has it: a token for each connection, made when that is opened.
    const asked = { sockets: 0, streams: 0 };
    const headers = (kind) => {
      asked[kind] += 1;
      return { authorization: `Bearer ${server.token("--expires-in", `${TOKEN_SECONDS}s`)}` };
    };
    const socket = createClient({ url: server.socket, connectionParams: () => headers("sockets"), webSocketImpl: WebSocket });
    const apollosSocket = createClient({ url: server.socket, connectionParams: () => headers("sockets"), webSocketImpl: WebSocket });
    const apollo = new ApolloClient({ link: new GraphQLWsLink(apollosSocket), cache: new InMemoryCache() });
    const streams = createSseClient({ url: server.url, headers: () => headers("streams"), retryAttempts: 10 });

    const watches = {};
    const watch = (name, subscribe) => {
      const watched = { received: [], ended: undefined, waiting: undefined };
      const next = (value) => { watched.received.push(value); watched.waiting?.(value); };
      const end = (why) => { watched.ended = why ?? "complete"; };
      subscribe({ next, error: end, complete: end });
      watches[name] = watched;
    };
    watch("graphql-ws", (sink) => socket.subscribe({ query: QUERY }, sink));
    watch("apollo", (sink) => apollo.subscribe({ query: gql(QUERY) }).subscribe(sink));
    watch("graphql-sse", (sink) => streams.subscribe({ query: QUERY }, sink));

    const allAreTold = async (when) => {
      for (const [name, watched] of Object.entries(watches)) {
        const event = new Promise((resolve) => { watched.waiting = resolve; });
        await whileTouching(server, event, `an event for ${name} ${when}`);
        if (watched.ended !== undefined) throw new Error(`${name} ended ${when}: ${JSON.stringify(watched.ended)}`);
      }
    };
    await allAreTold("at first");
    const before = { ...asked };

    server = await server.replace();
    await allAreTold("after a deploy");
    const deployed = { ...asked };

    await new Promise((resolve) => setTimeout(resolve, (TOKEN_SECONDS + 3) * 1000));
    await allAreTold("after the tokens have ended");
    for (const kind of ["sockets", "streams"]) {
      const connections = kind === "sockets" ? 2 : 1;
      for (const [earlier, later, when] of [[before, deployed, "the deploy"], [deployed, asked, "the tokens' end"]]) {
        if (later[kind] < earlier[kind] + connections) throw new Error(`${kind}: no new token after ${when}`);
      }
    }
    await socket.dispose();
    await apollosSocket.dispose();
    apollo.stop();
    streams.dispose();
    return "graphql-ws, Apollo and graphql-sse go on after a deploy, and after their tokens have ended";
  } finally {
    await server.stop();
  }
}
