import { type Exchange, makeOperation, type Operation } from "@urql/core";
import { map, pipe } from "wonka";

/** The ids of operations by their names, as far as their pages are loaded. */
export const documentIds = new Map<string, string>();

function idOf({ query }: Operation): string | undefined {
  const operation = query.definitions.find((definition) => definition.kind === "OperationDefinition");
  return operation && "name" in operation && operation.name ? documentIds.get(operation.name.value) : undefined;
}

/** Sends an operation's id in place of its text. While the pages are developed the text is sent, which need not be known to the server. */
export const persistedExchange: Exchange = ({ forward }) => {
  if (import.meta.env.DEV) return forward;
  const originals = new Map<number, Operation>();
  return (operations) =>
    pipe(
      operations,
      map((operation) => {
        if (operation.kind === "teardown") {
          originals.delete(operation.key);
          return operation;
        }
        const documentId = idOf(operation);
        if (!documentId) return operation;
        originals.set(operation.key, operation);
        const query = { kind: "Document", definitions: [], documentId } as unknown as Operation["query"];
        return makeOperation(operation.kind, { ...operation, query });
      }),
      forward,
      // The cache reads an answer by the operation as it was.
      map((result) => ({ ...result, operation: originals.get(result.operation.key) ?? result.operation })),
    );
};
