/** What the server publishes and the page listens to. */
export const ROOM = 'private-room';
export const PEOPLE = 'presence-room';
export const MESSAGE = 'message';

export type Message = { from: string; text: string; via: string };

/** What a browser needs to connect; nothing of it is secret. */
export type Connection = { key: string; host: string; port: number; tls: boolean };
