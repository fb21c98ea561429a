import { useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { detail, usePage } from "../../../api/page";
import { dayOf } from "../../../format/time";
import { Button } from "../../../parts/button";
import { Badge, Card, Empty } from "../../../parts/card";
import { Failed, Loading } from "../../../parts/failed";
import { type Column, Table } from "../../../parts/table";
import { PageTitle } from "../../../shell/title";
import { texts } from "../../../texts";
import { EndpointSheet } from "./endpoint";
import { NewEndpoint } from "./new";
import { type EndpointFragment, WebhooksDocument } from "./webhooks.generated";

const COLUMNS: Column<EndpointFragment>[] = [
  { name: texts.webhooks.url, cell: ({ url }) => <span className="break-all">{url}</span> },
  { name: texts.webhooks.description, cell: ({ description }) => description, isExtra: true },
  {
    name: texts.partners.status,
    cell: ({ isEnabled, failingSince, lastSuccessAt }) => (
      <>
        <Badge tone={!isEnabled ? "bad" : failingSince ? "warn" : "good"}>
          {isEnabled ? texts.webhooks.enabled : texts.webhooks.disabled}
        </Badge>{" "}
        <span className="text-muted">
          {failingSince ? texts.webhooks.failing(dayOf(failingSince)) : lastSuccessAt && texts.webhooks.success(dayOf(lastSuccessAt))}
        </span>
      </>
    ),
  },
];

export function WebhooksPage() {
  const search = useSearch({ from: "/operator/webhooks" });
  const navigate = useNavigate({ from: "/operator/webhooks" });
  const [isAdding, setAdding] = useState(false);
  const { data, error, isLoading, isReading, reload } = usePage(WebhooksDocument, {
    endpoint: search.endpoint ?? "",
    withEndpoint: search.endpoint !== undefined,
  });
  const endpoints = data?.webhookEndpoints?.nodes;
  const add = (
    <Button kind="main" onClick={() => setAdding(true)}>
      {texts.webhooks.new}
    </Button>
  );
  const close = () => void navigate({ search: {} });
  return (
    <>
      <PageTitle action={add}>{texts.webhooks.title}</PageTitle>
      {error && <Failed error={error} onAgain={reload} />}
      {isLoading ? (
        <Loading />
      ) : endpoints ? (
        <Card title={texts.webhooks.title}>
          {endpoints.length === 0 ? (
            <Empty action={add}>{texts.webhooks.empty}</Empty>
          ) : (
            <Table
              label={texts.webhooks.title}
              rows={endpoints}
              columns={COLUMNS}
              onOpen={({ id }) => void navigate({ search: { endpoint: id } })}
            />
          )}
        </Card>
      ) : null}
      {search.endpoint && data && (
        <EndpointSheet
          endpoint={detail(isReading, search.endpoint, data.webhookEndpoint)}
          onClose={close}
          onDone={reload}
          onRemoved={() => {
            close();
            reload();
          }}
        />
      )}
      {isAdding && <NewEndpoint onClose={() => setAdding(false)} onDone={reload} />}
    </>
  );
}
