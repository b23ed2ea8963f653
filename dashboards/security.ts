/**
 * What every request passes: the Host it names, for writes where it comes from, and the headers of
 * the answer. The server listens on loopback only; a page of another site can still make a browser
 * talk to it (DNS rebinding, forged forms), and this is what refuses that.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Context, MiddlewareHandler } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { getCookie, setCookie } from 'hono/cookie';
import { secureHeaders } from 'hono/secure-headers';

const loopback = ['127.0.0.1', 'localhost', '[::1]'];
const reading = new Set(['GET', 'HEAD']);
const MAX_BODY_BYTES = 64 * 1024;

/** Hosts by name only: an ssh tunnel may come in by any port, an attacker's name never. */
export const checkHost =
  (extraHosts: readonly string[]): MiddlewareHandler =>
  async (context, next) => {
    const host = context.req.header('host') ?? '';
    const name = host.replace(/:\d{1,5}$/, '').toLowerCase();
    if (!loopback.includes(name) && !extraHosts.includes(name)) {
      return context.text(
        'This host name is not allowed. Open the dashboard by 127.0.0.1 or localhost.\n',
        421,
      );
    }
    return next();
  };

export const pageHeaders = (): MiddlewareHandler =>
  secureHeaders({
    contentSecurityPolicy: {
      defaultSrc: ["'none'"],
      scriptSrc: ["'self'"],
      styleSrc: ["'self'"],
      imgSrc: ["'self'"],
      connectSrc: ["'self'"],
      baseUri: ["'none'"],
      formAction: ["'self'"],
      frameAncestors: ["'none'"],
    },
    xFrameOptions: 'DENY',
    referrerPolicy: 'same-origin',
    strictTransportSecurity: false,
    crossOriginOpenerPolicy: 'same-origin',
    crossOriginResourcePolicy: 'same-origin',
  });

const equal = (a: string, b: string): boolean => {
  const left = Buffer.from(a);
  const right = Buffer.from(b);
  return left.length === right.length && timingSafeEqual(left, right);
};

export interface Sessions {
  /** Sets the session cookie where there is none, and returns the token that writes must carry. */
  tokenFor(context: Context): string;
  /** Refuses writes without our origin, JSON, the session's cookie and its token. */
  checkWrite: MiddlewareHandler;
}

/** A session is a random cookie that no other site's request carries (SameSite=Strict). */
export const createSessions = (secret: Buffer = randomBytes(32)): Sessions => {
  // Cookies don't know ports: two dashboards on one machine need two names.
  const cookieName = (context: Context): string =>
    `tiller-${/:(\d{1,5})$/.exec(context.req.header('host') ?? '')?.[1] ?? '80'}`;
  const sign = (session: string): string =>
    createHmac('sha256', secret).update(session).digest('base64url');

  const refuse = (context: Context, status: 403 | 415, message: string): Response =>
    context.json({ error: { message } }, status);

  return {
    tokenFor(context) {
      let session = getCookie(context, cookieName(context));
      if (session === undefined || !/^[\w-]{32}$/.test(session)) {
        session = randomBytes(24).toString('base64url');
        setCookie(context, cookieName(context), session, {
          httpOnly: true,
          sameSite: 'Strict',
          path: '/',
        });
      }
      return sign(session);
    },
    checkWrite: async (context, next) => {
      if (reading.has(context.req.method)) return next();
      const origin = context.req.header('origin');
      const host = context.req.header('host') ?? '';
      if (origin !== `http://${host}` && origin !== `https://${host}`) {
        return refuse(context, 403, 'The request comes from another site.');
      }
      const type = context.req.header('content-type') ?? '';
      if (type.split(';')[0]?.trim().toLowerCase() !== 'application/json') {
        return refuse(context, 415, 'Send application/json.');
      }
      const session = getCookie(context, cookieName(context));
      const token = context.req.header('x-tiller-token') ?? '';
      if (session === undefined || !equal(token, sign(session))) {
        return refuse(context, 403, 'The page is out of date: reload it.');
      }
      return next();
    },
  };
};

export const limitBody = (): MiddlewareHandler =>
  bodyLimit({
    maxSize: MAX_BODY_BYTES,
    onError: (context) =>
      context.json({ error: { message: 'The request is larger than 64 KiB.' } }, 413),
  });
