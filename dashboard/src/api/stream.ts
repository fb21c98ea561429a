import type { SubscriptionForwarder } from "@urql/core";
import { type Client, createClient, MessageType } from "graphql-ws";
import { endOf, type Session } from "../auth/session";
import type { Positions } from "./positions";

/** How often the connection is tried, and within which time the server answers, in milliseconds. */
const BEAT = 10_000;
const ANSWERED = 5_000;
/** How long to wait for a token that could not be had, and a connection for another page, in milliseconds. */
const AGAIN = 1_000;
const LINGER = 3_000;
/** A connection's token is renewed so long before its end. */
const RENEWED = 10_000;

/** The page's one connection for what happens while it is open. */
export class Stream {
  readonly #client: Client;
  #isBehind = false;
  /** How many subscriptions there are. */
  #open = 0;
  readonly #watchers = new Set<() => void>();

  constructor(url: string, session: Session, positions: Positions) {
    let renewing: ReturnType<typeof setTimeout> | undefined;
    let unanswered: ReturnType<typeof setTimeout> | undefined;
    let used: string | undefined;
    const authorization = async () => {
      used = await session.getToken();
      return { authorization: `Bearer ${used}` };
    };
    // A socket that was opened waits until there is a token, for as long as the server lets it.
    const patient = async (): ReturnType<typeof authorization> => {
      for (;;) {
        try {
          return await authorization();
        } catch {
          await new Promise((resolve) => setTimeout(resolve, AGAIN));
        }
      }
    };
    // A ping with a newer token keeps the connection open beyond the end of the first one.
    const renew = (socket: WebSocket) => {
      const wait = Math.max(1_000, endOf(used ?? "") - Date.now() - RENEWED);
      renewing = setTimeout(async () => {
        const payload = await authorization().catch(() => undefined);
        if (socket.readyState !== WebSocket.OPEN) return;
        if (payload) socket.send(JSON.stringify({ type: MessageType.Ping, payload }));
        renew(socket);
      }, wait);
    };
    this.#client = createClient({
      url,
      lazy: true,
      connectionParams: patient,
      // Another page follows at once.
      lazyCloseTimeout: LINGER,
      keepAlive: BEAT,
      retryAttempts: Number.POSITIVE_INFINITY,
      // At once, then later and later, up to five seconds.
      retryWait: (retries) => new Promise((resolve) => setTimeout(resolve, Math.min(5_000, 100 * 2 ** retries) * (0.5 + Math.random()))),
      shouldRetry: () => true,
      on: {
        connected: (socket) => {
          this.#set(false);
          renew(socket as WebSocket);
        },
        ping: (isReceived) => {
          // After sleep a connection may be dead without anybody knowing.
          if (!isReceived) unanswered = setTimeout(() => this.#client.terminate(), ANSWERED);
        },
        pong: (isReceived) => {
          if (isReceived) clearTimeout(unanswered);
        },
        closed: () => {
          clearTimeout(renewing);
          clearTimeout(unanswered);
          this.#set(this.#open > 0);
        },
        message: (message) => {
          if (message.type === MessageType.Next) positions.noteEvent(message.payload.extensions);
        },
      },
    });
  }

  /** Whether what is shown may be behind what is true. */
  readonly isBehind = () => this.#isBehind;

  /** Calls back when that changes. */
  readonly watch = (watcher: () => void) => {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  };

  /** Subscriptions: each goes on after the last event that was received, however often the connection breaks. */
  readonly forward: SubscriptionForwarder = (body) => {
    let since = body.variables?.since;
    const variables = {
      ...body.variables,
      get since() {
        return since;
      },
    };
    return {
      subscribe: (sink) => {
        this.#open += 1;
        const dispose = this.#client.subscribe(
          { ...body, query: body.query ?? "", variables },
          {
            next: (value) => {
              const change = Object.values(value.data ?? {})[0] as { cursor?: string } | undefined;
              since = change?.cursor ?? since;
              sink.next(value as never);
            },
            error: (error) => sink.error(error),
            complete: () => sink.complete(),
          },
        );
        const unsubscribe = () => {
          this.#open -= 1;
          // Nothing is shown any more that could be behind.
          if (this.#open === 0) this.#set(false);
          dispose();
        };
        return { unsubscribe };
      },
    };
  };

  #set(isBehind: boolean) {
    if (this.#isBehind === isBehind) return;
    this.#isBehind = isBehind;
    for (const watcher of this.#watchers) watcher();
  }
}
