import { createServer, connect } from 'node:net';
import { TillerError } from '../recipes/errors.ts';

const HOST = '127.0.0.1';

/** A port that nothing listens on: the wanted one, or any. */
export async function choosePort(wanted = 0): Promise<number> {
  return (await listenOnce(wanted)) ?? (await listenOnce(0))!;
}

/** Errors: PORT_IN_USE. */
export async function requirePort(port: number, what: string): Promise<void> {
  if ((await listenOnce(port)) !== undefined) return;
  throw new TillerError('PORT_IN_USE', `Another program listens on port ${port} of ${HOST}`, {
    hint: `Stop it, or give ${what} another port.`,
  });
}

/** The port, if it could be listened on. */
async function listenOnce(port: number): Promise<number | undefined> {
  const server = createServer();
  try {
    return await new Promise((done, failed) => {
      server.once('error', failed);
      server.listen({ port, host: HOST, exclusive: true }, () => {
        const address = server.address();
        server.close();
        done(typeof address === 'object' ? address?.port : undefined);
      });
    });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EADDRINUSE' || code === 'EACCES') return undefined;
    throw error;
  }
}

/** Whether something accepts connections there. */
export function isListening(port: number): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect({ port, host: HOST, timeout: 1000 });
    const end = (answer: boolean) => () => {
      socket.destroy();
      done(answer);
    };
    socket.once('connect', end(true)).once('error', end(false)).once('timeout', end(false));
  });
}
