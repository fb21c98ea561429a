// The official audit of GraphQL over HTTP.
import { serverAudits } from "graphql-http";

export default async function audit(server) {
  const fetchFn = (url, options = {}) =>
    fetch(url, { ...options, headers: { ...options.headers, authorization: `Bearer ${server.partner}` } });
  const audits = serverAudits({ url: server.url, fetchFn });
  const results = await Promise.all(audits.map((one) => one.fn()));
  const bad = results.filter((result) => result.status !== "ok");
  for (const { id, name, reason } of bad) console.error(`  ${id} ${name}: ${reason}`);
  const summary = `${results.length - bad.length} of ${results.length}`;
  if (bad.length > 0 || results.length !== 61) throw new Error(`the audit says ${summary}`);
  return summary;
}
