import { usePage } from "../../api/page";
import { Empty } from "../../parts/card";
import { Failed, Loading } from "../../parts/failed";
import { PageTitle } from "../../shell/shell";
import { texts } from "../../texts";
import { Application } from "./application";
import { ProfileForm } from "./form";
import { ProfileDocument } from "./profile.generated";

export function ProfilePage() {
  const { data, error, isLoading, reload } = usePage(ProfileDocument, {});
  const partner = data?.me.partner;
  const isApplying = partner?.status === "PENDING";
  return (
    <>
      <PageTitle>{isApplying ? texts.application.title : texts.profile.title}</PageTitle>
      {isLoading ? (
        <Loading />
      ) : partner ? (
        isApplying ? (
          <Application partner={partner} />
        ) : (
          // Another version of the profile, as somebody else has saved it, is another form.
          <ProfileForm key={partner.profile?.updatedAt} partner={partner} />
        )
      ) : error ? (
        <Failed error={error} onAgain={reload} />
      ) : (
        <Empty>{texts.profile.none}</Empty>
      )}
    </>
  );
}
