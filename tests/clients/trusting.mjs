// A server that runs the operations of a manifest and no others.
import { ask, start } from "./server.mjs";

export async function trusting(server, manifest, id, variables, holds) {
  const strict = await start(server.program, { PORTAL_TRUSTED_DOCUMENTS: "only", PORTAL_TRUSTED_MANIFEST: manifest });
  try {
    const answer = await ask(strict, strict.partner, { documentId: id, variables });
    if (!answer.data || !holds(answer.data)) throw new Error(JSON.stringify(answer));
    const other = await ask(strict, strict.partner, { query: "{ me { role } }" });
    if (other.errors?.[0].extensions.code !== "FORBIDDEN") throw new Error(JSON.stringify(other));
  } finally {
    await strict.stop();
  }
  return "compiled; its operation runs by id, others do not";
}
