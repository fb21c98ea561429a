// A browser by itself, on the API's own origin and with the session cookie. It connects again by itself and says where it was
// (`Last-Event-ID`); it gives up on a refusal. `begin` reads the page and gives the `eventCursor` of its query.
export function watch(url, query, begin, apply) {
  let source;
  let isOver = false;
  const open = async () => {
    const since = await begin();
    if (isOver) return;
    source = new EventSource(`${url}?${new URLSearchParams({ query, variables: JSON.stringify({ since }) })}`);
    source.addEventListener("next", ({ data }) => {
      const { data: received, errors } = JSON.parse(data);
      // A cursor that the server does not know any more comes as an error, and then the end: read the page anew.
      if (received?.changes) apply(received.changes);
      else if (errors) reopen();
    });
    source.addEventListener("complete", () => source.close());
    // The token has ended, say: its cookie is renewed by the page.
    source.addEventListener("error", () => source.readyState === EventSource.CLOSED && setTimeout(reopen, 5_000));
  };
  const reopen = () => {
    source.close();
    if (!isOver) open();
  };
  open();
  return () => {
    isOver = true;
    source?.close();
  };
}
