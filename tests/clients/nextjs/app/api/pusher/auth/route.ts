import { NextResponse } from 'next/server';
import { PEOPLE, ROOM } from '@/lib/channels';
import { pusher } from '@/lib/pusher';
import { currentUser } from '@/lib/session';

/** pusher-js asks here before it subscribes to a private or a presence channel. */
export async function POST(request: Request): Promise<NextResponse> {
  const user = await currentUser();
  const form = await request.formData();
  const socketId = String(form.get('socket_id'));
  const channel = String(form.get('channel_name'));
  if (!user || ![ROOM, PEOPLE].includes(channel)) {
    return NextResponse.json({ error: 'not for you' }, { status: 403 });
  }
  const member = channel === PEOPLE ? { user_id: user, user_info: { name: user } } : undefined;
  return NextResponse.json(pusher().authorizeChannel(socketId, channel, member));
}
