import { usePage } from "../../api/page";
import { Empty } from "../../parts/card";
import { Failed, Loading } from "../../parts/failed";
import { PageTitle } from "../../shell/title";
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
      {error && <Failed error={error} onAgain={reload} />}
      {isLoading ? (
        <Loading />
      ) : partner ? (
        isApplying ? (
          <Application partner={partner} />
        ) : (
          <ProfileForm partner={partner} onConflict={reload} />
        )
      ) : error ? null : (
        <Empty>{texts.profile.none}</Empty>
      )}
    </>
  );
}
