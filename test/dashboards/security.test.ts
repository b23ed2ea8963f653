import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdir, rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TillerError } from '../../recipes/errors.ts';
import { homePaths } from '../../db/home.ts';
import { sampleFile } from '../../db/page-details.ts';
import { HOSTILE } from '../fixtures/seed-record.ts';
import { HOST, ORIGIN, seededPages } from './pages.ts';

let pages: Awaited<ReturnType<typeof seededPages>>;
let outcome: TillerError | undefined;
beforeAll(async () => {
  pages = await seededPages(async () => {
    if (outcome !== undefined) throw outcome;
    return { id: 'request01' };
  });
});
afterAll(() => pages.close());

/** A page's cookie and the token that belongs to it. */
const session = async (): Promise<{ cookie: string; token: string }> => {
  const response = await pages.get('/');
  const cookie = response.headers.get('set-cookie')?.split(';')[0] ?? '';
  const token = /name="tiller-token" content="([^"]+)"/.exec(await response.text())?.[1] ?? '';
  return { cookie, token };
};

const post = async (
  headers: Record<string, string>,
  body = '{"verb":"pause"}',
  run = pages.seeded.training,
): Promise<Response> =>
  pages.app.request(`${ORIGIN}/runs/${run}/requests`, { method: 'POST', headers, body });

const goodHeaders = async (): Promise<Record<string, string>> => {
  const { cookie, token } = await session();
  return {
    host: HOST,
    origin: ORIGIN,
    'content-type': 'application/json',
    cookie,
    'x-tiller-token': token,
  };
};

describe('the Host', () => {
  test.each(['127.0.0.1:7420', 'localhost:7420', 'LOCALHOST', '[::1]:7420', '127.0.0.1:9999'])(
    '%s is answered',
    async (host) => expect((await pages.get('/', { host })).status).toBe(200),
  );
  test.each([
    'evil.example',
    'evil.example:7420',
    '127.0.0.1.evil.example',
    'localhost.evil.example:7420',
    '',
    '127.0.0.1:7420:80',
    '0.0.0.0:7420',
  ])('"%s" is refused, for every kind of address', async (host) => {
    const sample =
      pages.db.raw.prepare<[], { id: string }>('SELECT id FROM sample').get()?.id ?? '';
    for (const path of ['/', '/healthz', '/live', `/media/${sample}`, '/assets/tiller.js']) {
      expect((await pages.get(path, { host })).status).toBe(421);
    }
  });
});

describe('a write', () => {
  test('goes to the engine', async () => {
    const response = await post(await goodHeaders(), '{"verb":"stop","after":"epoch"}');
    expect(response.status).toBe(202);
    expect(pages.asked.at(-1)).toEqual({
      run: pages.seeded.training,
      verb: 'stop',
      after: 'epoch',
    });
  });

  test("of prompts and samples is put into the engine's words", async () => {
    const add = { text: 'a lighthouse', seed: 11, width: 64 };
    const edit = JSON.stringify({ verb: 'prompts', add, drop: 2 });
    expect((await post(await goodHeaders(), edit)).status).toBe(202);
    expect(pages.asked.at(-1)).toEqual({
      run: pages.seeded.training,
      verb: 'prompts',
      edit: { add: { ...add, negative: '' }, drop: 2 },
    });
    await post(await goodHeaders(), '{"verb":"make","epoch":10,"prompt":3}');
    expect(pages.asked.at(-1)).toEqual({
      run: pages.seeded.training,
      verb: 'make',
      sample: { epoch: 10, prompt: 3 },
    });
  });

  test.each([
    [{ text: 'x'.repeat(10_000) }, /^prompt.text: a text of 10,000 characters is out of range/],
    [{ text: 'a', width: 33 }, /^prompt.width: 33 pixels are a size that this U-Net can't do\. /],
    [{ text: 'a', seed: -1 }, /^prompt.seed: -1 is out of range/],
    [{ text: 'a', sed: 1 }, /^sed: unknown key at .*Did you mean seed\?/],
    [{}, /^prompt.text: missing/],
  ])("of a prompt that the run can't sample is refused: %.40j", async (add, words) => {
    const before = pages.asked.length;
    const body = JSON.stringify({ verb: 'prompts', add });
    const response = await post(await goodHeaders(), body);
    expect(response.status).toBe(400);
    const { error } = (await response.json()) as { error: { code: string; message: string } };
    expect(error).toMatchObject({
      code: 'RECIPE_INVALID',
      message: expect.stringMatching(words),
    });
    expect(pages.asked).toHaveLength(before);
  });

  test.each([
    ['another origin', { origin: 'http://evil.example' }, 403],
    ['the same host on another port', { origin: 'http://127.0.0.1:9999' }, 403],
    ['no origin', { origin: '' }, 403],
    ['an opaque origin', { origin: 'null' }, 403],
    ['a form', { 'content-type': 'application/x-www-form-urlencoded' }, 415],
    ['plain text', { 'content-type': 'text/plain' }, 415],
    ['no type', { 'content-type': '' }, 415],
    ['no token', { 'x-tiller-token': '' }, 403],
    ['a wrong token', { 'x-tiller-token': 'x'.repeat(43) }, 403],
    ['no cookie', { cookie: '' }, 403],
    ["another session's cookie", { cookie: `tiller-7420=${'a'.repeat(32)}` }, 403],
  ])('from %s is refused', async (_name, headers, status) => {
    const before = pages.asked.length;
    const response = await post({ ...(await goodHeaders()), ...headers });
    expect(response.status).toBe(status);
    expect(pages.asked).toHaveLength(before);
  });

  test.each([
    ['no JSON', '{'],
    ['an unknown verb', '{"verb":"delete"}'],
    ['an unknown key', '{"verb":"pause","run":"other"}'],
    ['an unknown time', '{"verb":"pause","after":"never"}'],
    ['a pause without a checkpoint', '{"verb":"pause","after":"now"}'],
    ['no epochs', '{"verb":"extend","epochs":0}'],
    ['too many epochs', '{"verb":"extend","epochs":100001}'],
    ['another name', '{"verb":"delete","name":"emoji-12"}'],
    ['nothing', ''],
  ])('with %s is refused', async (_name, body) => {
    const before = pages.asked.length;
    const response = await post(await goodHeaders(), body);
    expect(response.status).toBe(400);
    expect(pages.asked).toHaveLength(before);
  });

  test('of more than 64 KiB is refused', async () => {
    const body = JSON.stringify({ verb: 'pause', after: 'x'.repeat(70_000) });
    const headers = { ...(await goodHeaders()), 'content-length': String(body.length) };
    expect((await post(headers, body)).status).toBe(413);
  });

  test('for no run says so', async () => {
    expect((await post(await goodHeaders(), '{"verb":"pause"}', 'nobody')).status).toBe(404);
  });

  test('that the run or the engine refuses is told with its line', async () => {
    outcome = new TillerError('REQUEST_REFUSED', 'Run a can’t pause now: it has ended');
    expect((await post(await goodHeaders())).status).toBe(409);
    outcome = new TillerError('NOT_UP', 'Tiller is not running', {
      hint: 'Start it with `tiller up`.',
    });
    const response = await post(await goodHeaders());
    outcome = undefined;
    expect(response.status).toBe(503);
    expect(await response.json()).toEqual({
      error: {
        code: 'NOT_UP',
        message: 'Tiller is not running. Start it with `tiller up`. [NOT_UP]',
      },
    });
  });

  test.each(['/', '/healthz', '/compare', '/live'])('to %s does not exist', async (path) => {
    const response = await pages.app.request(`${ORIGIN}${path}`, {
      method: 'POST',
      headers: await goodHeaders(),
      body: '{}',
    });
    expect(response.status).toBe(404);
  });
});

describe('headers', () => {
  test('allow no script or style but our own files', async () => {
    for (const path of ['/', `/runs/${pages.seeded.training}`, '/nothing', '/healthz']) {
      const { headers } = await pages.get(path);
      const policy = headers.get('content-security-policy') ?? '';
      expect(policy).toContain("default-src 'none'");
      expect(policy).toContain("script-src 'self'");
      expect(policy).toContain("style-src 'self'");
      expect(policy).toContain("frame-ancestors 'none'");
      expect(policy).not.toMatch(/unsafe|\*|data:|http/);
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('x-frame-options')).toBe('DENY');
      expect(headers.get('access-control-allow-origin')).toBeNull();
    }
  });

  test('keep the session to this site and away from scripts', async () => {
    const cookie = (await pages.get('/')).headers.get('set-cookie') ?? '';
    expect(cookie).toMatch(/HttpOnly/);
    expect(cookie).toMatch(/SameSite=Strict/);
  });
});

describe('hostile names and prompts', () => {
  test('are text on every page', async () => {
    const { hostile } = pages.seeded;
    const paths = [
      '/',
      `/?q=${encodeURIComponent(HOSTILE)}`,
      `/runs/${hostile}`,
      `/runs/${hostile}?curve=${encodeURIComponent('"><script>')}`,
      `/compare?a=${hostile}@0&b=${hostile}@1`,
      `/compare?a=${encodeURIComponent(HOSTILE)}@0&b=x@1`,
      `/runs/${encodeURIComponent(HOSTILE)}`,
    ];
    for (const path of paths) {
      const text = await (await pages.get(path)).text();
      const scripts = [...text.matchAll(/<script[^>]*>/g)].map(([tag]) => tag);
      expect(scripts).toEqual(['<script type="module" src="/assets/tiller.js">']);
      expect(text).not.toContain('onerror="alert');
      // Attributes without their values: a name that a value smuggled in would stand here.
      const bare = text.replaceAll(/="[^"]*"/g, '=');
      expect(bare).not.toMatch(/<[^>]+\s(on\w+|style)=/);
    }
  });
});

describe('pictures', () => {
  const anySample = (): string =>
    pages.db.raw.prepare<[], { id: string }>('SELECT id FROM sample ORDER BY rowid').get()?.id ??
    '';

  test('come as they were made, and small, for ever', async () => {
    const id = anySample();
    const original = await pages.get(`/media/${id}`);
    expect(original.headers.get('content-type')).toBe('image/png');
    expect(original.headers.get('cache-control')).toContain('immutable');
    for (const size of [256, 512]) {
      for (const round of ['made', 'kept']) {
        const small = await pages.get(`/media/${id}/${size}.webp`);
        expect([round, small.status, small.headers.get('content-type')]).toEqual([
          round,
          200,
          'image/webp',
        ]);
        expect(small.headers.get('cache-control')).toContain('immutable');
        expect(new Uint8Array(await small.arrayBuffer()).slice(0, 4)).toEqual(
          new Uint8Array([82, 73, 70, 70]),
        );
      }
    }
  });

  test.each([
    '/media/..%2f..%2ftiller.db',
    '/media/%2e%2e%2f%2e%2e%2ftiller.db',
    '/media/..%252f..%252ftiller.db',
    '/media/%2fetc%2fpasswd',
    '/media/nobody',
    '/media/nobody/256.webp',
    '/media/a%00b',
    '/assets/..%2fserver.ts',
    '/assets/%2e%2e/server.ts',
  ])('%s leads nowhere', async (path) => {
    const response = await pages.get(path);
    expect(response.status).toBe(404);
    expect(await response.text()).not.toMatch(/SQLite|root:|import/);
  });

  test.each(['255.webp', '1024.webp', '256.png', '..%2f256.webp', '256.webp.png'])(
    'of size %s are not made',
    async (name) => expect((await pages.get(`/media/${anySample()}/${name}`)).status).toBe(404),
  );

  test('outside of the artifacts are not followed', async () => {
    const id = anySample();
    const file = sampleFile(pages.db, id);
    const root = homePaths(pages.home).artifacts;
    const place = join(root, (file?.sha256 ?? '').slice(0, 2), file?.sha256 ?? '');
    const elsewhere = join(pages.home, 'secret.png');
    await mkdir(pages.home, { recursive: true });
    await writeFile(elsewhere, 'secret');
    await rename(place, `${place}.away`);
    try {
      await symlink(elsewhere, place);
      expect((await pages.get(`/media/${id}`)).status).toBe(404);
    } finally {
      await rename(`${place}.away`, place);
    }
  });

  test('whose file is gone are not found', async () => {
    const id =
      pages.db.raw.prepare<[], { id: string }>('SELECT id FROM sample ORDER BY rowid DESC').get()
        ?.id ?? '';
    const sha256 = sampleFile(pages.db, id)?.sha256 ?? '';
    const place = join(homePaths(pages.home).artifacts, sha256.slice(0, 2), sha256);
    await rename(place, `${place}.away`);
    try {
      expect((await pages.get(`/media/${id}`)).status).toBe(404);
      expect((await pages.get(`/media/${id}/256.webp`)).status).toBe(404);
    } finally {
      await rename(`${place}.away`, place);
    }
  });
});
