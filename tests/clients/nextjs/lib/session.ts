import { cookies } from 'next/headers';

const COOKIE = 'name';

/**
 * Who the caller is, or undefined. A cookie with a name stands here for the session of a real
 * application: never take the identity from what the browser sends along with a request.
 */
export async function currentUser(): Promise<string | undefined> {
  return (await cookies()).get(COOKIE)?.value;
}

export async function startSession(name: string): Promise<void> {
  (await cookies()).set(COOKIE, name, { httpOnly: true, sameSite: 'lax' });
}
