import { randomInt } from 'node:crypto';
import { createServer, connect } from 'node:net';
import { TillerError } from '../recipes/errors.ts';

const HOST = '127.0.0.1';

/**
 * A port that nothing listens on: the wanted one, or any. Not one that the system gives to outgoing
 * connections: while a server is down, those that try to reach it could be given its own port.
 */
export async function choosePort(wanted?: number): Promise<number> {
  if (wanted !== undefined && (await listenOnce(wanted)) !== undefined) return wanted;
  for (let tries = 0; tries < 100; tries++) {
    const port = await listenOnce(randomInt(10_000, 32_000));
    if (port !== undefined) return port;
  }
  throw new TillerError('PORT_IN_USE', `No free port of ${HOST} was found`, {
    hint: 'Name one.',
  });
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

/**
 * A given port must be free; where none is given, the usual one is taken or any; for 0, any.
 * Errors: PORT_IN_USE.
 */
export async function givenOrFree(
  given: number | undefined,
  usual: number | undefined,
  whose: string,
): Promise<number> {
  if (given === undefined) return choosePort(usual);
  if (given === 0) return choosePort();
  await requirePort(given, whose);
  return given;
}

/** The dashboard's port, where the environment names one. Errors: USAGE. */
export function portOf({ TILLER_PORT: port }: NodeJS.ProcessEnv): number | undefined {
  if (!port) return undefined;
  if (/^\d{1,5}$/.test(port) && Number(port) < 65536) return Number(port);
  throw new TillerError('USAGE', `TILLER_PORT is no port: ${port}`, { hint: 'Give it a number.' });
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
