// For servers that read from standbys: each request has the position of the last change that this client has made or received, so that every server's answer
// includes it. Servers that do not read from standbys give no positions. One of these for each server address.
export function makePositions() {
  const known = new Set();
  let told = [];

  // Notes a position in place of earlier ones that it is as far as.
  function note(position, earlier) {
    for (const old of earlier) known.delete(old);
    known.add(position);
  }

  // In place of `fetch`.
  async function portalFetch(url, options = {}) {
    const sent = [...known];
    const headers = new Headers(options.headers);
    if (sent.length > 0) headers.set("portal-position", sent.join());
    const response = await fetch(url, { ...options, headers });
    const position = response.headers.get("portal-position");
    if (position) note(position, sent);
    return response;
  }

  // For what comes over a socket or a stream: graphql-ws takes it as `on: { message }`. An event is further than the one before it.
  function message({ payload }) {
    const position = payload?.extensions?.position;
    if (!position) return;
    note(position, told);
    told = [position];
  }

  return { portalFetch, message };
}
