'use server';

import { publish } from '@/lib/pusher';
import { currentUser, startSession } from '@/lib/session';

/** Starts a session under the name that was typed. */
export async function enter(form: FormData): Promise<void> {
  const name = String(form.get('name') ?? '').trim();
  if (name !== '') await startSession(name);
}

/** Publishes from a Server Action. */
export async function say(text: string): Promise<void> {
  const from = await currentUser();
  if (!from) throw new Error('enter first');
  await publish({ from, text, via: 'Server Action' });
}
