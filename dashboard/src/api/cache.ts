import { cacheExchange, type KeyingConfig } from "@urql/exchange-graphcache";
import { relayPagination } from "@urql/exchange-graphcache/extras";

/** What has no id of its own is kept as a part of what it belongs to. */
const keys: KeyingConfig = new Proxy({} as KeyingConfig, {
  get: () => (data: { id?: string | null }) => data.id ?? null,
});

const pages = (...fields: string[]) => Object.fromEntries(fields.map((field) => [field, relayPagination()]));

/** What was read, by id: what one page or the stream brings is right on every other page too. */
export const cache = () =>
  cacheExchange({
    keys,
    resolvers: {
      Query: pages(
        "auditLog",
        "commissions",
        "customers",
        "dataImports",
        "leads",
        "linkEvents",
        "links",
        "members",
        "partners",
        "payouts",
        "referrals",
        "walletTransactions",
      ),
      Payout: pages("commissions"),
      WebhookEndpoint: pages("deliveries"),
    },
    optimistic: {
      // A step is seen at once; where the server refuses it, it is taken back.
      updateLeadStatus: ({ input }) => {
        const { id, status } = input as { id: string; status: string };
        return { __typename: "UpdateLeadStatusPayload", lead: { __typename: "Lead", id, status }, userErrors: [] };
      },
    },
  });
