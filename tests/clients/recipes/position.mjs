// What this client has changed or was told of, for servers that read from standbys: each request says it, so that no answer is without it, whichever
// server gives it. Where a server does not read from standbys, there is nothing to say.
const seen = new Set();

// In place of `fetch`.
export async function portalFetch(url, options = {}) {
  const sent = [...seen];
  const headers = new Headers(options.headers);
  if (sent.length > 0) headers.set("portal-position", sent.join());
  const response = await fetch(url, { ...options, headers });
  saw(response.headers.get("portal-position"), sent);
  return response;
}

// Notes a position, such as an event has in `extensions.position`, in place of earlier ones that it is as far as. Gives those that it will be in place of.
export function saw(position, earlier) {
  if (!position) return earlier;
  for (const old of earlier) seen.delete(old);
  seen.add(position);
  return [position];
}
