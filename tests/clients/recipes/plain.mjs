// Nothing but fetch: what can go wrong, what may be sent again, and files.
import { makePositions } from "./position.mjs";

export const { portalFetch, message } = makePositions();

// An answer's data. Throws with the code of the first error; waits where the server says for how long.
export async function ask({ url, getToken }, query, variables, attempts = 3) {
  const headers = { "content-type": "application/json", accept: "application/graphql-response+json", authorization: `Bearer ${await getToken()}` };
  const response = await portalFetch(url, { method: "POST", headers, body: JSON.stringify({ query, variables }) });
  const busy = response.status === 429 || response.status === 503;
  if (busy && attempts > 1) {
    await new Promise((resolve) => setTimeout(resolve, Number(response.headers.get("retry-after") ?? 1) * 1000));
    return ask({ url, getToken }, query, variables, attempts - 1);
  }
  const { data, errors } = await response.json();
  if (errors) throw Object.assign(new Error(errors[0].message), { code: errors[0].extensions.code, path: errors[0].path, data });
  return data;
}

// Sends a lead once, however often the answer is lost: the key is made with the form, and stays the same until the form is a new one.
export async function sendLead(api, lead, idempotencyKey) {
  const mutation = `mutation ($input: CreateLeadInput!) {
    createLead(input: $input) { lead { id } replayed userErrors { code message field } }
  }`;
  const variables = { input: { ...lead, idempotencyKey } };
  const { createLead } = await ask(api, mutation, variables).catch((error) => {
    // The connection broke off, or the server was away: it is safe to ask again.
    if (error instanceof TypeError || error.code === "SERVICE_UNAVAILABLE") return ask(api, mutation, variables);
    throw error;
  });
  return createLead;
}

// A file, by the GraphQL multipart request specification. The header makes browsers ask before they send it from another site.
export async function importMembers({ url, getToken }, file, isDryRun) {
  const query = `mutation ($file: Upload!, $dry: Boolean!) {
    importMembers(input: { file: $file, dryRun: $dry }) { import { rowCount imported failed } userErrors { message } }
  }`;
  const form = new FormData();
  form.append("operations", JSON.stringify({ query, variables: { file: null, dry: isDryRun } }));
  form.append("map", JSON.stringify({ 0: ["variables.file"] }));
  form.append("0", file);
  const headers = { authorization: `Bearer ${await getToken()}`, "graphql-require-preflight": "1" };
  const { data, errors } = await (await portalFetch(url, { method: "POST", headers, body: form })).json();
  if (errors) throw new Error(errors[0].message);
  return data.importMembers;
}
