import { faultOf, useChange } from "../../api/change";
import { usePage } from "../../api/page";
import { count, money, percent, sizes } from "../../format/money";
import { periodOf } from "../../format/period";
import { moment, month } from "../../format/time";
import { Button } from "../../parts/button";
import { Badge, Card, Empty, Figure } from "../../parts/card";
import { BarChart } from "../../parts/chart";
import { Copy } from "../../parts/copy";
import { Failed, Loading } from "../../parts/failed";
import { notify } from "../../parts/notice";
import { PageTitle } from "../../shell/title";
import { useMay } from "../../shell/viewer";
import { texts } from "../../texts";
import { AffiliatesDocument, type AffiliatesQuery, SetAffiliateActiveDocument } from "./affiliates.generated";
import { AcceptInvite, ChooseCode, TakeOut } from "./forms";

type Affiliate = NonNullable<AffiliatesQuery["me"]["affiliate"]>;
type Transaction = NonNullable<AffiliatesQuery["walletTransactions"]>["nodes"][number];

export function AffiliatesPage() {
  const period = periodOf("year").span;
  const { data, error, isLoading, reload } = usePage(AffiliatesDocument, { period }, ["WALLET"]);
  const affiliate = data?.me.affiliate;
  return (
    <>
      <PageTitle>{texts.affiliates.title}</PageTitle>
      {error && <Failed error={error} onAgain={reload} />}
      {isLoading ? (
        <Loading />
      ) : affiliate ? (
        <Contents affiliate={affiliate} transactions={data.walletTransactions?.nodes ?? []} onDone={reload} />
      ) : error ? null : (
        <Empty>{texts.affiliates.none}</Empty>
      )}
    </>
  );
}

function Contents({ affiliate, transactions, onDone }: { affiliate: Affiliate; transactions: Transaction[]; onDone(): void }) {
  const { figures, terms } = affiliate;
  const points = figures?.overTime ?? [];
  const heights = sizes(points.map(({ earned }) => earned.amount));
  return (
    <div className="flex flex-col gap-6">
      <Invite affiliate={affiliate} onDone={onDone} />
      {figures && (
        <dl className="grid grid-cols-2 gap-4 md:grid-cols-4">
          <Figure
            label={texts.affiliates.earned}
            value={money(figures.earned)}
            note={terms && texts.affiliates.share(percent(terms.share))}
          />
          <Figure label={texts.affiliates.people} value={count(figures.people)} />
          <Figure label={texts.affiliates.paying} value={count(figures.payingPeople)} />
          <Figure label={texts.links.clicks} value={count(figures.clicks)} />
        </dl>
      )}
      <div className="grid items-start gap-6 lg:grid-cols-2">
        <Card title={texts.affiliates.wallet}>
          <ul>
            {affiliate.wallets.map((wallet) => (
              <li key={wallet.currency} className="border-b border-line p-4 last:border-0">
                <p className="text-2xl font-semibold tabular-nums">{money(wallet.balance)}</p>
                <p className="mb-3 text-sm text-muted">
                  {texts.affiliates.available(money(wallet.available))} · {texts.affiliates.takenOut(money(wallet.takenOut))}
                </p>
                <TakeOut wallet={wallet} onDone={onDone} />
              </li>
            ))}
          </ul>
          {affiliate.wallets.length === 0 && <Empty>{texts.affiliates.emptyWallet}</Empty>}
        </Card>
        <Card title={texts.affiliates.overTime}>
          <BarChart
            title={texts.affiliates.overTime}
            highest=""
            bars={points.map(({ start, earned }, index) => ({ label: month(start), value: money(earned), size: heights[index] ?? 0 }))}
          />
        </Card>
        <Card title={texts.affiliates.referrals}>
          {affiliate.referrals?.nodes.length ? (
            <ul>
              {affiliate.referrals.nodes.map((referral) => (
                <li
                  key={referral.id}
                  className="flex items-center justify-between gap-4 border-b border-line px-4 py-3 text-sm last:border-0"
                >
                  <span>
                    <span className="font-medium">{referral.initials ?? "–"}</span>{" "}
                    <span className="text-muted">{texts.affiliates.since(month(referral.joinedMonth))}</span>
                  </span>
                  <span className="flex items-center gap-3 tabular-nums">
                    {referral.earnings.map(({ currency, earned }) => (
                      <span key={currency}>{money(earned)}</span>
                    ))}
                    <Badge tone={referral.hasPaid ? "good" : "neutral"}>
                      {referral.hasPaid ? texts.affiliates.hasPaid : texts.affiliates.hasNotPaid}
                    </Badge>
                  </span>
                </li>
              ))}
            </ul>
          ) : (
            <Empty>{texts.affiliates.noReferrals}</Empty>
          )}
        </Card>
        <Card title={texts.affiliates.transactions}>
          {transactions.length === 0 ? (
            <Empty>{texts.affiliates.noTransactions}</Empty>
          ) : (
            <ul>
              {transactions.map(({ id, kind, at, amount, explanation }) => (
                <li key={id} className="border-b border-line px-4 py-3 text-sm last:border-0">
                  <p className="flex justify-between gap-4">
                    <span className="font-medium">{texts.affiliates.kinds[kind]}</span>
                    <span className="tabular-nums">{money(amount)}</span>
                  </p>
                  <p className="text-muted">{explanation.sentence}</p>
                  <p className="text-muted">{moment(at)}</p>
                </li>
              ))}
            </ul>
          )}
        </Card>
      </div>
    </div>
  );
}

/** The invite link, and the switch: nobody takes part who has not said so. */
function Invite({ affiliate, onDone }: { affiliate: Affiliate; onDone(): void }) {
  const mayTakePart = useMay("AFFILIATE_TAKE_PART");
  const { run, isRunning } = useChange(SetAffiliateActiveDocument);
  const shared = affiliate.inviteUrl ?? affiliate.inviteCode;
  const turn = async () => {
    const outcome = await run({ active: !affiliate.isActive });
    if (!outcome.done) notify(faultOf(outcome) ?? "");
    onDone();
  };
  return (
    <Card
      title={texts.affiliates.invite}
      action={
        mayTakePart && (
          <Button
            kind={affiliate.isActive ? "plain" : "main"}
            aria-pressed={affiliate.isActive}
            isBusy={isRunning}
            onClick={() => void turn()}
          >
            {affiliate.isActive ? texts.affiliates.turnOff : texts.affiliates.turnOn}
          </Button>
        )
      }
    >
      <div className="flex flex-col gap-4 p-4">
        <p className="text-sm text-muted">{affiliate.isActive ? texts.affiliates.about : texts.affiliates.offAbout}</p>
        <div className="flex flex-wrap items-center gap-2">
          <code className="min-w-0 rounded-lg bg-hover px-3 py-2 text-sm break-all">{shared}</code>
          <Copy text={shared} />
          {mayTakePart && <ChooseCode code={affiliate.inviteCode} onDone={onDone} />}
        </div>
        {mayTakePart && affiliate.canAcceptInviteUntil && !affiliate.isReferred && <AcceptInvite onDone={onDone} />}
      </div>
    </Card>
  );
}
