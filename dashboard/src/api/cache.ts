import { cacheExchange, type KeyingConfig } from "@urql/exchange-graphcache";

/** What has no id of its own is kept as a part of what it belongs to. */
const keys: KeyingConfig = new Proxy({} as KeyingConfig, {
  get: () => (data: { id?: string | null }) => data.id ?? null,
});

/** What was read, by id: what one page or the stream brings is right on every other page too. */
export const cache = () =>
  cacheExchange({
    keys,
    optimistic: {
      // A step is seen at once, and no other is offered until the server has answered; where the server refuses it, it is taken back.
      updateLeadStatus: ({ input }) => {
        const { id, status } = input as { id: string; status: string };
        return { __typename: "UpdateLeadStatusPayload", lead: { __typename: "Lead", id, status, nextStatuses: [] }, userErrors: [] };
      },
    },
  });
