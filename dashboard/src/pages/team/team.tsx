import { useState } from "react";
import { useForm } from "react-hook-form";
import { faultOf, type Outcome, showFaults, useChange, useKey } from "../../api/change";
import { usePage } from "../../api/page";
import type { PartnerUserRole } from "../../api/schema.generated";
import { dayOf } from "../../format/time";
import { Button } from "../../parts/button";
import { Badge, Card, Empty } from "../../parts/card";
import { Copy } from "../../parts/copy";
import { Failed, Loading } from "../../parts/failed";
import { Faults, Input, Select } from "../../parts/field";
import { notify } from "../../parts/notice";
import { Sheet } from "../../parts/sheet";
import { PageTitle } from "../../shell/title";
import { useMay, useViewer } from "../../shell/viewer";
import { texts } from "../../texts";
import {
  ChangePartnerUserRoleDocument,
  InviteUserDocument,
  RemovePartnerUserDocument,
  RevokeInvitationDocument,
  TeamDocument,
  type TeamFragment,
} from "./team.generated";

const ROLES: PartnerUserRole[] = ["MEMBER", "OWNER"];

export function TeamPage() {
  const { data, error, isLoading, reload } = usePage(TeamDocument, {});
  const [isInviting, setInviting] = useState(false);
  const mayManage = useMay("USERS_MANAGE");
  const partner = data?.me.partner;
  return (
    <>
      <PageTitle
        action={
          mayManage && (
            <Button kind="main" onClick={() => setInviting(true)}>
              {texts.team.invite}
            </Button>
          )
        }
      >
        {texts.team.title}
      </PageTitle>
      {error && <Failed error={error} onAgain={reload} />}
      {isLoading ? <Loading /> : partner ? <People partner={partner} onDone={reload} /> : null}
      {isInviting && <Invite onClose={() => setInviting(false)} onDone={reload} />}
    </>
  );
}

function People({ partner, onDone }: { partner: TeamFragment; onDone(): void }) {
  const mayManage = useMay("USERS_MANAGE");
  const [viewer] = useViewer();
  const role = useChange(ChangePartnerUserRoleDocument);
  const remove = useChange(RemovePartnerUserDocument);
  const revoke = useChange(RevokeInvitationDocument);
  const say = (outcome: Outcome<unknown>, text: string) => {
    notify(outcome.done ? text : (faultOf(outcome) ?? ""));
    onDone();
  };
  const open = partner.invitations?.nodes.filter(({ status }) => status === "OPEN") ?? [];
  return (
    <div className="flex flex-col gap-6">
      <Card title={texts.team.people}>
        <ul>
          {partner.users.map(({ role: has, user }) => (
            <li key={user.id} className="flex flex-wrap items-center justify-between gap-3 border-b border-line px-4 py-3 last:border-0">
              <span className="min-w-0">
                <span className="block font-medium">{user.name ?? user.email}</span>
                <span className="block text-sm text-muted">{user.name ? user.email : ""}</span>
              </span>
              {mayManage && user.id !== viewer?.user.id ? (
                <span className="flex items-center gap-2">
                  <select
                    aria-label={texts.team.roleOf(user.name ?? user.email ?? "")}
                    className="h-9 rounded-lg border border-field bg-surface px-2 text-sm"
                    value={has}
                    onChange={async (event) =>
                      say(await role.run({ input: { userId: user.id, role: event.target.value as PartnerUserRole } }), texts.form.saved)
                    }
                  >
                    {ROLES.map((role) => (
                      <option key={role} value={role}>
                        {texts.team.roles[role]}
                      </option>
                    ))}
                  </select>
                  <Button
                    kind="bad"
                    aria-label={`${texts.team.remove}: ${user.name ?? user.email}`}
                    onClick={async () =>
                      confirm(texts.team.sure(user.name ?? user.email ?? "")) &&
                      say(await remove.run({ input: { userId: user.id } }), texts.team.removed)
                    }
                  >
                    {texts.team.remove}
                  </Button>
                </span>
              ) : (
                <Badge tone={has === "OWNER" ? "accent" : "neutral"}>{texts.team.roles[has]}</Badge>
              )}
            </li>
          ))}
        </ul>
      </Card>
      {mayManage && (
        <Card title={texts.team.invitations}>
          {open.length === 0 ? (
            <Empty>{texts.team.noInvitations}</Empty>
          ) : (
            <ul>
              {open.map(({ id, email, role, expiresAt }) => (
                <li key={id} className="flex flex-wrap items-center justify-between gap-3 border-b border-line px-4 py-3 last:border-0">
                  <span>
                    <span className="block font-medium">{email}</span>
                    <span className="block text-sm text-muted">
                      {texts.team.roles[role]} · {texts.team.until(dayOf(expiresAt))}
                    </span>
                  </span>
                  <Button
                    kind="bad"
                    aria-label={`${texts.team.revoke}: ${email}`}
                    onClick={async () => confirm(texts.team.sureToRevoke(email)) && say(await revoke.run({ id }), texts.team.revoked)}
                  >
                    {texts.team.revoke}
                  </Button>
                </li>
              ))}
            </ul>
          )}
        </Card>
      )}
    </div>
  );
}

/** Invites somebody. The link is given once, to be sent to them where the server sends no messages itself. */
function Invite({ onClose, onDone }: { onClose(): void; onDone(): void }) {
  const form = useForm({ defaultValues: { email: "", role: "MEMBER" as PartnerUserRole } });
  const [keyOf] = useKey();
  const { run, isRunning } = useChange(InviteUserDocument);
  const [others, setOthers] = useState<string[]>([]);
  const [link, setLink] = useState<string | null>(null);
  const { errors } = form.formState;
  const send = form.handleSubmit(async (values) => {
    setOthers([]);
    const outcome = await run({ input: { ...values, idempotencyKey: keyOf(values) } });
    if (!outcome.done) return setOthers(showFaults(form, outcome.faults));
    onDone();
    notify(texts.team.invited(values.email));
    const url = outcome.data.inviteUser?.link?.url;
    if (url) setLink(url);
    else onClose();
  });
  return (
    <Sheet title={texts.team.invite} isKept={link !== null || form.formState.isDirty} onClose={onClose}>
      {link ? (
        <>
          <p>{texts.team.linkAbout}</p>
          <code className="rounded-lg bg-hover p-3 text-sm break-all">{link}</code>
          <Copy text={link} />
        </>
      ) : (
        <form className="flex flex-col gap-4" noValidate onSubmit={(event) => void send(event)}>
          <Faults of={others} />
          <Input label={texts.team.email} form={form.register("email")} fault={errors.email} type="email" autoComplete="off" />
          <Select label={texts.team.role} form={form.register("role")} fault={errors.role}>
            {ROLES.map((role) => (
              <option key={role} value={role}>
                {texts.team.roles[role]}
              </option>
            ))}
          </Select>
          <div className="flex gap-3">
            <Button kind="main" type="submit" isBusy={isRunning}>
              {texts.team.invite}
            </Button>
            <Button onClick={onClose}>{texts.form.cancel}</Button>
          </div>
        </form>
      )}
    </Sheet>
  );
}
