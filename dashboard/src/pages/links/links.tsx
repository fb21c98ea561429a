import { useNavigate, useSearch } from "@tanstack/react-router";
import { detail, usePage, useRows } from "../../api/page";
import type { LinkOrderField } from "../../api/schema.generated";
import { count, money } from "../../format/money";
import { periodOf } from "../../format/period";
import { Button } from "../../parts/button";
import { Badge, Card, Empty } from "../../parts/card";
import { Failed, Loading } from "../../parts/failed";
import { Choice } from "../../parts/field";
import { isMinor, Search } from "../../parts/search";
import { type Column, Table } from "../../parts/table";
import { PageTitle } from "../../shell/title";
import { useMay } from "../../shell/viewer";
import { texts } from "../../texts";
import { LinkSheet } from "./link";
import { type LinkRowFragment, LinksDocument } from "./links.generated";
import { NewLink } from "./new";
import { ORDERS } from "./orders";

const COLUMNS: Column<LinkRowFragment>[] = [
  {
    name: texts.links.name,
    cell: ({ title, shortUrl, archivedAt }) => (
      <span className="block max-w-72 min-w-0">
        <span className="block truncate">{title ?? bare(shortUrl)}</span>
        <span className="block truncate font-normal text-muted">{title ? bare(shortUrl) : ""}</span>
        {archivedAt && <Badge tone="neutral">{texts.links.archived}</Badge>}
      </span>
    ),
  },
  { name: texts.links.clicks, cell: ({ figures }) => count(figures?.clicks ?? 0), isNumber: true },
  { name: texts.links.signUps, cell: ({ figures }) => count(figures?.signUps ?? 0), isNumber: true, isExtra: true },
  { name: texts.links.sales, cell: ({ figures }) => count(figures?.sales ?? 0), isNumber: true, isExtra: true },
  { name: texts.links.earnings, cell: ({ figures }) => figures && money(figures.earnings), isNumber: true },
];

function bare(url: string): string {
  return url.replace(/^https?:\/\//, "");
}

export function LinksPage() {
  const search = useSearch({ from: "/links" });
  const navigate = useNavigate({ from: "/links" });
  const set = (changed: Partial<typeof search>) =>
    void navigate({ search: (before) => ({ ...before, ...changed }), replace: isMinor(changed) });
  const order: LinkOrderField = search.order ?? "CREATED_AT";
  const period = periodOf("year").span;
  const rows = useRows([search.q, search.archived, search.order]);
  const { data, error, isLoading, isReading, reload } = usePage(
    LinksDocument,
    {
      filter: { search: search.q, archived: search.archived ?? false },
      orderBy: { field: order, direction: "DESC" },
      period,
      first: rows.first,
      link: search.link ?? null,
      withLink: search.link !== undefined,
    },
    ["CLICKS", "SIGN_UP", "COMMISSION"],
  );
  const mayLink = useMay("LINKS_MANAGE");
  const links = data?.links;
  const isFiltered = search.q !== undefined || search.archived !== undefined;
  const make = mayLink && (
    <Button kind="main" onClick={() => set({ new: true })}>
      {texts.links.new}
    </Button>
  );
  return (
    <>
      <PageTitle action={make}>{texts.links.title}</PageTitle>
      <div className="mb-4 flex flex-wrap items-center gap-3">
        <Search value={search.q ?? ""} onChange={(q) => set({ q: q || undefined })} />
        <Choice
          label={texts.links.order}
          value={order}
          of={ORDERS.map((order) => [order, texts.links.orders[order]])}
          onChange={(order) => set({ order: order === "CREATED_AT" ? undefined : order })}
        />
        <label className="inline-flex items-center gap-2 text-sm">
          <input
            type="checkbox"
            className="size-4"
            checked={search.archived ?? false}
            onChange={(event) => set({ archived: event.target.checked || undefined })}
          />
          {texts.links.archivedOnes}
        </label>
      </div>
      {error && <Failed error={error} onAgain={reload} />}
      {isLoading ? (
        <Loading />
      ) : links ? (
        <Card title={`${texts.links.title} · ${texts.periods.year}`}>
          {links.nodes.length === 0 ? (
            <Empty action={!isFiltered && make}>{isFiltered ? texts.links.emptyFiltered : texts.links.empty}</Empty>
          ) : (
            <Table
              label={texts.links.title}
              rows={links.nodes}
              columns={COLUMNS}
              total={links.totalCount}
              onOpen={(link) => set({ link: link.id })}
              onMore={rows.more(links.pageInfo.hasNextPage)}
            />
          )}
        </Card>
      ) : null}
      {search.link && data && (
        <LinkSheet
          link={detail(isReading, search.link, data.link)}
          events={data.linkEvents?.nodes ?? []}
          period={period}
          onClose={() => set({ link: undefined })}
          onDone={reload}
        />
      )}
      {search.new && mayLink && (
        <NewLink period={period} onClose={() => set({ new: undefined })} onMade={(link) => set({ new: undefined, link })} />
      )}
    </>
  );
}
