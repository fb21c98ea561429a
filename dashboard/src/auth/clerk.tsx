import { ClerkProvider, SignIn as ClerkSignIn, useAuth } from "@clerk/react";
import { useEffect, useState } from "react";
import { isOperator, type Session, type SignIn as SignInType } from "./session";

/** Clerk's sign-in, for the application of VITE_CLERK_PUBLISHABLE_KEY. */
export const SignIn: SignInType = ({ children }) => (
  <ClerkProvider publishableKey={import.meta.env.VITE_CLERK_PUBLISHABLE_KEY}>
    <SignedIn>{children}</SignedIn>
  </ClerkProvider>
);

const SignedIn: SignInType = ({ children }) => {
  const { isLoaded, isSignedIn, getToken, signOut } = useAuth();
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
    void token().then((first) => setSession({ isOperator: isOperator(first), getToken: token, signOut: () => signOut() }));
  }, [isSignedIn, getToken, signOut]);
  if (session) return children(session);
  if (!isLoaded || isSignedIn) return null;
  return (
    <main className="grid min-h-dvh place-items-center p-6">
      <ClerkSignIn routing="hash" />
    </main>
  );
};
