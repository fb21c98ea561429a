import { useState } from "react";
import { faultOf, useChange } from "../../api/change";
import type { PeriodInput } from "../../api/schema.generated";
import { count, money } from "../../format/money";
import { dayOf, moment, monthOf } from "../../format/time";
import { Button } from "../../parts/button";
import { Facts } from "../../parts/card";
import { BarChart } from "../../parts/chart";
import { Copy } from "../../parts/copy";
import { Detail } from "../../parts/failed";
import { notify } from "../../parts/notice";
import { Sheet } from "../../parts/sheet";
import { useMay } from "../../shell/viewer";
import { texts } from "../../texts";
import { ArchiveLinkDocument, type LinksQuery, RestoreLinkDocument } from "./links.generated";

type Link = NonNullable<LinksQuery["link"]>;
type Event = NonNullable<LinksQuery["linkEvents"]>["nodes"][number];

/** One link beside the list: to be shared, what it has brought, and what happens at it. */
export function LinkSheet({
  link,
  events,
  period,
  onClose,
  onDone,
}: {
  link: Link | null | undefined;
  events: Event[];
  period: PeriodInput;
  onClose(): void;
  onDone(): void;
}) {
  return (
    <Sheet title={link?.title ?? link?.key ?? texts.shell.loading} onClose={onClose}>
      <Detail of={link}>{(link) => <Contents link={link} events={events} period={period} onDone={onDone} />}</Detail>
    </Sheet>
  );
}

function Contents({ link, events, period, onDone }: { link: Link; events: Event[]; period: PeriodInput; onDone(): void }) {
  const [isQr, setQr] = useState(false);
  const mayLink = useMay("LINKS_MANAGE");
  const archive = useChange(ArchiveLinkDocument);
  const restore = useChange(RestoreLinkDocument);
  const keep = async () => {
    const outcome = await (link.archivedAt ? restore : archive).run({ id: link.id, period });
    if (outcome.done) onDone();
    else notify(faultOf(outcome) ?? "");
  };
  const figures = link.whole;
  return (
    <>
      <div className="flex items-center gap-2 rounded-lg border border-line p-2 pl-3">
        <code className="min-w-0 flex-1 truncate text-sm">{link.shortUrl}</code>
        <Copy text={link.shortUrl} />
        <Button aria-expanded={isQr} onClick={() => setQr(!isQr)}>
          {texts.links.qr}
        </Button>
      </div>
      {isQr && (
        <img
          src={link.qrCode}
          alt={texts.links.qrOf(link.shortUrl)}
          width={200}
          height={200}
          className="self-center rounded-lg bg-white p-3"
        />
      )}
      <Facts
        of={[
          [
            texts.links.url,
            <a key="url" href={link.url} target="_blank" rel="noreferrer" className="break-all text-accent underline">
              {link.url}
            </a>,
          ],
          [texts.links.coupon, link.couponCode],
          [texts.links.made, dayOf(link.createdAt)],
          ...(figures
            ? ([
                [texts.links.clicks, count(figures.clicks)],
                [texts.links.visitors, count(figures.visitors)],
                [texts.links.signUps, count(figures.signUps)],
                [texts.links.customers, count(figures.customers)],
                [texts.links.saleAmount, money(figures.saleAmount)],
                [texts.links.earnings, money(figures.earnings)],
              ] as [string, string][])
            : []),
        ]}
      />
      {figures?.overTime && (
        <section aria-label={texts.links.overTime} className="rounded-xl border border-line">
          <h3 className="px-4 pt-3 font-semibold">{texts.links.overTime}</h3>
          <Clicks points={figures.overTime} />
        </section>
      )}
      {figures?.top && figures.top.length > 0 && (
        <section aria-label={texts.links.top}>
          <h3 className="mb-2 font-semibold">{texts.links.top}</h3>
          <Facts of={figures.top.map(({ value, clicks }) => [value ?? texts.links.direct, count(clicks)])} />
        </section>
      )}
      <section aria-label={texts.links.events}>
        <h3 className="mb-2 font-semibold">{texts.links.events}</h3>
        {events.length === 0 && <p className="text-sm text-muted">{texts.links.noEvents}</p>}
        <ul aria-live="polite" className="flex flex-col gap-2 text-sm">
          {events.map((event) => (
            <li key={event.id} className="flex justify-between gap-4">
              <span>
                {texts.links.kinds[event.kind]}
                {event.commission && ` · ${money(event.commission.amount)}`}
                <span className="text-muted">
                  {[event.click?.country, event.click?.device, event.click?.referrer].filter(Boolean).map((part) => ` · ${part}`)}
                  {!event.isCounted && ` · ${texts.links.notCounted}`}
                </span>
              </span>
              <span className="whitespace-nowrap text-muted">{moment(event.at)}</span>
            </li>
          ))}
        </ul>
      </section>
      {mayLink && (
        <Button className="self-start" isBusy={archive.isRunning || restore.isRunning} onClick={() => void keep()}>
          {link.archivedAt ? texts.links.restore : texts.links.archive}
        </Button>
      )}
    </>
  );
}

function Clicks({ points }: { points: { start: string; clicks: number }[] }) {
  const most = Math.max(1, ...points.map(({ clicks }) => clicks));
  const bars = points.map(({ start, clicks }) => ({
    label: monthOf(start),
    value: `${count(clicks)} ${texts.links.clicks}`,
    size: Math.round((clicks * 1000) / most),
  }));
  return <BarChart title={texts.links.overTime} bars={bars} highest={count(most)} />;
}
