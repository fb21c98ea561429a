import { Client, fetchExchange, subscriptionExchange } from "@urql/core";
import { createContext, type ReactNode, useContext, useState, useSyncExternalStore } from "react";
import { Provider } from "urql";
import type { Session } from "../auth/session";
import { cache } from "./cache";
import { makeFetch } from "./fetch";
import { persistedExchange } from "./persisted";
import { Positions } from "./positions";
import { Stream } from "./stream";

/** Where the API is; the page's own origin where it is not said. */
const API = new URL(import.meta.env.VITE_API_URL || "/graphql", location.origin);

/** The API as one signed-in person uses it. */
export interface Portal {
  session: Session;
  client: Client;
  stream: Stream;
}

const Context = createContext<Portal | null>(null);

function makePortal(session: Session): Portal {
  const positions = new Positions();
  const socket = new URL(API);
  socket.protocol = API.protocol.replace("http", "ws");
  const stream = new Stream(socket.href, session, positions);
  const client = new Client({
    url: API.href,
    preferGetMethod: false,
    fetch: makeFetch(session, positions),
    exchanges: [cache(), persistedExchange, fetchExchange, subscriptionExchange({ forwardSubscription: stream.forward })],
  });
  return { session, client, stream };
}

export function PortalProvider({ session, children }: { session: Session; children: ReactNode }) {
  const [portal] = useState(() => makePortal(session));
  return (
    <Context value={portal}>
      <Provider value={portal.client}>{children}</Provider>
    </Context>
  );
}

export function usePortal(): Portal {
  const portal = useContext(Context);
  if (!portal) throw new Error("a page is shown to nobody who is signed in");
  return portal;
}

/** Whether what is shown may be behind what is true. */
export function useIsBehind(): boolean {
  const { stream } = usePortal();
  return useSyncExternalStore(stream.watch, stream.isBehind);
}
