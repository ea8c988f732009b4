'use client';

import Pusher, { type Members, type PresenceChannel } from 'pusher-js';
import { useEffect, useState } from 'react';
import { MESSAGE, PEOPLE, ROOM, type Connection, type Message } from '@/lib/channels';
import { say } from './actions';

export function Room({ user, connection }: { user: string; connection: Connection }) {
  const [state, setState] = useState('connecting');
  const [people, setPeople] = useState<string[]>([]);
  const [messages, setMessages] = useState<Message[]>([]);
  const { key, host, port, tls } = connection;

  useEffect(() => {
    const pusher = new Pusher(key, {
      cluster: '', // pusher-js insists on one; wsHost takes its place
      wsHost: host,
      wsPort: port,
      wssPort: port,
      forceTLS: tls,
      enabledTransports: ['ws', 'wss'],
      channelAuthorization: { endpoint: '/api/pusher/auth', transport: 'ajax' },
    });
    pusher.connection.bind('state_change', ({ current }: { current: string }) => setState(current));

    pusher.subscribe(ROOM).bind(MESSAGE, (message: Message) => setMessages((all) => [...all, message]));

    const presence = pusher.subscribe(PEOPLE) as PresenceChannel;
    const showPeople = () => setPeople(names(presence.members));
    presence.bind('pusher:subscription_succeeded', showPeople);
    presence.bind('pusher:member_added', showPeople);
    presence.bind('pusher:member_removed', showPeople);

    return () => pusher.disconnect();
  }, [key, host, port, tls]);

  async function sayByRoute(text: string) {
    await fetch('/api/messages', { method: 'POST', body: JSON.stringify({ text }) });
  }

  return (
    <main>
      <h1>Room</h1>
      <p>
        You are <b>{user}</b>, <span id="state">{state}</span>.
      </p>
      <h2>Here</h2>
      <ul id="people">{people.map((name) => <li key={name}>{name}</li>)}</ul>
      <button onClick={() => say('hello')}>Say hello by Server Action</button>{' '}
      <button onClick={() => sayByRoute('hello')}>Say hello by Route Handler</button>
      <h2>Messages</h2>
      <ol id="messages">
        {messages.map(({ from, text, via }, index) => <li key={index}>{from}: {text} ({via})</li>)}
      </ol>
    </main>
  );
}

function names(members: Members): string[] {
  const list: string[] = [];
  members.each((member: { info: { name: string } }) => list.push(member.info.name));
  return list.sort();
}
