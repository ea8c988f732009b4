import { connectionForBrowsers } from '@/lib/pusher';
import { currentUser } from '@/lib/session';
import { enter } from './actions';
import { Room } from './room';

export default async function Page() {
  const user = await currentUser();
  if (user) return <Room user={user} connection={connectionForBrowsers()} />;
  return (
    <form action={enter}>
      <label>
        Your name <input name="name" required maxLength={40} />
      </label>{' '}
      <button>Enter</button>
    </form>
  );
}
