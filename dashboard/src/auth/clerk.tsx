import { ClerkProvider, SignIn as ClerkSignIn, useAuth } from "@clerk/react";
import { Fragment, useEffect, useState } from "react";
import { isOperator, type Session, type SignIn as SignInType } from "./session";

/** Clerk's sign-in, for the application of VITE_CLERK_PUBLISHABLE_KEY. */
export const SignIn: SignInType = ({ children }) => (
  <ClerkProvider publishableKey={import.meta.env.VITE_CLERK_PUBLISHABLE_KEY}>
    <SignedIn>{children}</SignedIn>
  </ClerkProvider>
);

/** How soon a token is asked for again that could not be had, in milliseconds. */
const AGAIN = 1_000;

const SignedIn: SignInType = ({ children }) => {
  const { isLoaded, isSignedIn, userId, getToken, signOut } = useAuth();
  const [session, setSession] = useState<Session | null>(null);
  useEffect(() => {
    if (!isSignedIn) {
      setSession(null);
      return;
    }
    const token = async (refused?: string) => {
      const got = await getToken();
      // Clerk gives the same token until shortly before its end.
      const fresh = got === refused ? await getToken({ skipCache: true }) : got;
      if (!fresh) throw new Error("the session has ended");
      return fresh;
    };
    let isOver = false;
    const begin = async () => {
      const first = await token().catch(() => undefined);
      if (isOver) return;
      if (first) setSession({ isOperator: isOperator(first), getToken: token, signOut: () => signOut() });
      else setTimeout(begin, AGAIN);
    };
    void begin();
    return () => {
      isOver = true;
      setSession(null);
    };
    // Another person is another session: what was read for the one before is forgotten with it.
  }, [isSignedIn, getToken, signOut]);
  if (session) return <Fragment key={userId}>{children(session)}</Fragment>;
  if (!isLoaded || isSignedIn) return null;
  return (
    <main className="grid min-h-dvh place-items-center p-6">
      <ClerkSignIn routing="hash" />
    </main>
  );
};
