import { NextResponse } from 'next/server';
import { publish } from '@/lib/pusher';
import { currentUser } from '@/lib/session';

/** Publishes from a Route Handler. */
export async function POST(request: Request): Promise<NextResponse> {
  const from = await currentUser();
  if (!from) return NextResponse.json({ error: 'enter first' }, { status: 403 });
  const { text } = (await request.json()) as { text: string };
  await publish({ from, text: String(text), via: 'Route Handler' });
  return NextResponse.json({});
}
