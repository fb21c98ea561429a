import { Link, Outlet, useRouterState } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { useIsBehind, usePortal } from "../api/portal";
import { Button } from "../parts/button";
import { Notices } from "../parts/notice";
import { texts } from "../texts";
import { NotFound } from "./not-found";
import { setTheme, THEMES, theme } from "./theme";
import { useViewer, useViewerState, ViewerContext } from "./viewer";

const PARTNER = [
  ["/", texts.nav.home],
  ["/leads", texts.nav.leads],
  ["/links", texts.nav.links],
  ["/earnings", texts.nav.earnings],
  ["/payouts", texts.nav.payouts],
  ["/credits", texts.nav.credits],
  ["/affiliates", texts.nav.affiliates],
  ["/profile", texts.nav.profile],
  ["/team", texts.nav.team],
] as const;

const OPERATOR = [
  ["/operator/approvals", texts.nav.approvals],
  ["/operator/payouts", texts.nav.payouts],
  ["/operator/partners", texts.nav.partners],
  ["/operator/programmes", texts.nav.programmes],
  ["/operator/webhooks", texts.nav.webhooks],
  ["/operator/imports", texts.nav.imports],
  ["/operator/audit", texts.nav.audit],
  ["/operator/settings", texts.nav.settings],
] as const;

/** What is around every page: the way to the others, who looks, and whether what is shown is up to date. */
export function Shell() {
  const held = useViewerState();
  return (
    <ViewerContext value={held}>
      <a href="#content" className="sr-only rounded bg-surface p-3 focus:not-sr-only focus:absolute focus:z-50">
        {texts.shell.skip}
      </a>
      <div className="mx-auto flex min-h-dvh max-w-7xl flex-col lg:flex-row">
        <Sidebar />
        <div className="flex min-w-0 flex-1 flex-col">
          <Behind />
          <main id="content" tabIndex={-1} className="flex-1 px-4 py-6 outline-none sm:px-6 lg:px-8">
            <Stopped />
            <Page />
          </main>
        </div>
      </div>
      <Notices />
    </ViewerContext>
  );
}

/** The page, if it is one for this person: partners and staff have pages of their own. */
function Page() {
  const { session } = usePortal();
  const path = useRouterState({ select: (state) => state.location.pathname });
  return path === "/" || path.startsWith("/operator") === session.isOperator ? <Outlet /> : <NotFound />;
}

/** Says that the company can look and do nothing at the moment, and why. */
function Stopped() {
  const [viewer] = useViewer();
  const partner = viewer?.partner;
  if (partner?.status !== "SUSPENDED" && partner?.status !== "CLOSED") return null;
  return (
    <p role="status" className="mb-6 rounded-xl bg-bad-soft px-4 py-3 text-bad">
      {texts.shell.stopped[partner.status]} {partner.statusReason}
    </p>
  );
}

function Sidebar() {
  const { session } = usePortal();
  const [viewer] = useViewer();
  const [isOpen, setOpen] = useState(false);
  const path = useRouterState({ select: (state) => state.location.pathname });
  // biome-ignore lint/correctness/useExhaustiveDependencies: the menu closes whenever the page is another.
  useEffect(() => setOpen(false), [path]);
  const entries = session.isOperator ? OPERATOR : PARTNER;
  return (
    <header className="border-line max-lg:border-b lg:sticky lg:top-0 lg:flex lg:h-dvh lg:w-56 lg:flex-col lg:border-r">
      <div className="flex items-center justify-between gap-3 px-4 py-3 lg:px-5 lg:py-5">
        <div className="min-w-0">
          <p className="truncate font-semibold">{viewer?.tenant.name ?? texts.product}</p>
          <p className="truncate text-sm text-muted">{viewer?.partner?.companyName ?? "\u00a0"}</p>
        </div>
        <Button className="lg:hidden" aria-expanded={isOpen} aria-controls="menu" onClick={() => setOpen(!isOpen)}>
          {texts.shell.menu}
        </Button>
      </div>
      <div
        id="menu"
        className={`flex-1 flex-col justify-between gap-4 overflow-y-auto px-2 pb-4 lg:flex lg:px-3 ${isOpen ? "flex" : "hidden"}`}
      >
        <nav aria-label={texts.shell.pages}>
          <ul className="flex flex-col gap-0.5">
            {entries.map(([to, name]) => (
              <li key={to}>
                <Link
                  to={to}
                  activeOptions={{ exact: to === "/", includeSearch: false }}
                  className="block rounded-lg px-3 py-2 text-sm text-muted hover:bg-hover hover:text-text aria-[current=page]:bg-accent-soft aria-[current=page]:font-medium aria-[current=page]:text-accent"
                >
                  {name}
                </Link>
              </li>
            ))}
          </ul>
        </nav>
        <Account />
      </div>
    </header>
  );
}

function Account() {
  const { session } = usePortal();
  const [viewer] = useViewer();
  const [shown, show] = useState(theme);
  return (
    <section aria-label={texts.shell.account} className="flex flex-col gap-3 border-t border-line px-3 pt-4 text-sm">
      <p className="min-w-0">
        <span className="block truncate font-medium">{viewer?.user.name ?? viewer?.user.email ?? "\u00a0"}</span>
        <span className="block truncate text-muted">{viewer?.user.name ? viewer.user.email : ""}</span>
      </p>
      <Picker
        label={texts.shell.theme}
        value={shown}
        of={THEMES.map((name) => [name, texts.shell.themes[name]])}
        onPick={(picked) => {
          const chosen = THEMES.find((name) => name === picked) ?? "system";
          setTheme(chosen);
          show(chosen);
        }}
      />
      {session.others && (
        <Picker
          label={texts.shell.become}
          value={session.others.find(({ isCurrent }) => isCurrent)?.label ?? ""}
          of={session.others.map(({ label }) => [label, label])}
          onPick={(picked) => session.others?.find(({ label }) => label === picked)?.become()}
        />
      )}
      <Button className="w-full" onClick={() => void session.signOut()}>
        {texts.shell.signOut}
      </Button>
    </section>
  );
}

function Picker({ label, value, of, onPick }: { label: string; value: string; of: [string, string][]; onPick(value: string): void }) {
  return (
    <label className="flex flex-col gap-1">
      <span className="text-muted">{label}</span>
      <select
        className="h-9 w-full rounded-lg border border-field bg-surface px-2"
        value={value}
        onChange={(event) => onPick(event.target.value)}
      >
        {of.map(([value, name]) => (
          <option key={value} value={value}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}

/** Says that the stream is away, once it has been for longer than it takes to replace a server. */
function Behind() {
  const isBehind = useIsBehind();
  const [isShown, setShown] = useState(false);
  useEffect(() => {
    if (!isBehind) return setShown(false);
    const timer = setTimeout(() => setShown(true), 2_000);
    return () => clearTimeout(timer);
  }, [isBehind]);
  return (
    <div role="status">{isShown && <p className="bg-warn-soft px-4 py-1.5 text-center text-sm text-warn">{texts.shell.behind}</p>}</div>
  );
}
