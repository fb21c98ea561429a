import type { Session } from "../auth/session";
import type { Positions } from "./positions";

/** For how long a request is sent again while the server is away, in milliseconds: longer than it takes to replace one. */
const PATIENCE = 20_000;
/** How long to wait where the server does not say. */
const PAUSE = 500;
const LONGEST_PAUSE = 5_000;

/**
 * `fetch` with a token that is good at that moment. What the server could not answer is sent again, also changes: each of them can be sent
 * twice and is made once.
 */
export function makeFetch(session: Session, positions: Positions): typeof fetch {
  return async (url, options = {}) => {
    const end = Date.now() + PATIENCE;
    let refused: string | undefined;
    for (;;) {
      const sent = positions.sent;
      let token: string | undefined;
      const send = async () => {
        token = await session.getToken(refused);
        const headers = new Headers(options.headers);
        headers.set("authorization", `Bearer ${token}`);
        headers.set("graphql-require-preflight", "1");
        if (sent.length > 0) headers.set("portal-position", sent.join());
        return fetch(url, { ...options, headers });
      };
      // The server that gives tokens may be away as well.
      const answer = await send().catch((error: unknown) => {
        if (options.signal?.aborted || Date.now() > end) throw error;
      });
      if (answer?.status === 401 && !refused) {
        refused = token;
        continue;
      }
      // Also a part of an answer may wait for the database; then the whole says when to ask again.
      const wait = answer?.headers.get("retry-after");
      const isAway = !answer || answer.status === 502 || answer.status === 503 || answer.status === 429 || (wait && answer.ok);
      if (answer && (!isAway || Date.now() > end)) {
        positions.note(answer.headers.get("portal-position"), sent);
        return answer;
      }
      await new Promise((resolve) => setTimeout(resolve, Math.min(Number(wait) * 1000 || PAUSE, LONGEST_PAUSE)));
    }
  };
}
