/** The socket: loopback only. */
import type { AddressInfo } from 'node:net';
import { serve, type ServerType } from '@hono/node-server';
import { TillerError } from '../recipes/errors.ts';

export const ADDRESS = '127.0.0.1';

/** Errors: PORT_IN_USE. */
export const listen = (
  fetch: Parameters<typeof serve>[0]['fetch'],
  port: number,
): Promise<ServerType> =>
  new Promise((resolve, reject) => {
    const server = serve({ fetch, hostname: ADDRESS, port }, () => resolve(server));
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(
        error.code === 'EADDRINUSE'
          ? new TillerError('PORT_IN_USE', `Port ${port} of ${ADDRESS} is taken`, {
              hint: 'Set TILLER_PORT to another one, or to 0 for any.',
              cause: error,
            })
          : error,
      );
    });
  });

export const portOf = (server: ServerType): number => (server.address() as AddressInfo).port;
