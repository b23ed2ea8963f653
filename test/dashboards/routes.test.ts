import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { saveCheckpoint } from '../../db/checkpoints.ts';
import { eq } from '../../db/drizzle.ts';
import { appendEvent } from '../../db/events.ts';
import { createRequest, finishRequest, getRequest, openRequests } from '../../db/requests.ts';
import { getRun, updateRun } from '../../db/runs.ts';
import { request } from '../../db/schema.ts';
import { addPoints } from '../fixtures/seed-record.ts';
import { HOST, ORIGIN, emptyPages, seededPages, type Pages } from './pages.ts';

let pages: Awaited<ReturnType<typeof seededPages>>;
beforeAll(async () => {
  pages = await seededPages();
});
afterAll(() => pages.close());

const text = async (path: string, on: Pages = pages): Promise<string> =>
  (await on.get(path)).text();

describe('runs', () => {
  test('those on their way come first, then the failed, then the rest', async () => {
    const page = await text('/');
    const order = [
      'Under way',
      'emoji-night',
      'emoji-wide',
      'Failed',
      'emoji-fast',
      'Finished',
      'emoji-13',
    ];
    const body = page.slice(page.indexOf('<table'));
    const places = order.map((word) => body.indexOf(word));
    expect(places).toEqual([...places].sort((a, b) => a - b));
    expect(places.every((place) => place > 0)).toBe(true);
  });

  test('an empty record says how a run is started', async () => {
    const empty = await emptyPages();
    try {
      const page = await text('/', empty);
      expect(page).toContain('npm run demo');
      expect(page).toContain('tiller train');
      expect((await empty.get('/compare')).status).toBe(200);
      expect(await text('/compare', empty)).toContain('Nothing to compare yet');
    } finally {
      await empty.close();
    }
  });

  test('a filter that nothing matches can be cleared', async () => {
    const page = await text('/?q=zzz');
    expect(page).toMatch(/class="no-match"\s*>/);
    expect(page).toContain('Clear filters');
  });
});

describe('a run', () => {
  test('says its state, its reason and what is safe', async () => {
    const page = await text(`/runs/${pages.seeded.failed}`);
    expect(page).toContain('This run failed');
    expect(page).toContain('LOSS_NOT_FINITE');
    expect(page).toMatch(/No checkpoint is on disk any more/);
  });

  test('offers what makes sense in its state', async () => {
    const verbsOn = async (run: string): Promise<string[]> => [
      ...new Set(
        [...(await text(`/runs/${run}`)).matchAll(/data-verb="(\w+)"/g)].map(
          ([, verb = '']) => verb,
        ),
      ),
    ];
    expect(await verbsOn(pages.seeded.training)).toEqual([
      'pause',
      'sample',
      'save',
      'stop',
      'extend',
      'prompts',
    ]);
    expect(await verbsOn(pages.seeded.paused)).toEqual(['resume', 'stop', 'extend', 'prompts']);
    expect(await verbsOn(pages.seeded.done)).toEqual(['extend', 'delete', 'prompts']);
    expect(await verbsOn(pages.seeded.failed)).toEqual(['resume', 'delete', 'prompts']);
  });

  test('offers to end a trainer that heeds nothing after a minute, and says what that costs', async () => {
    const own = await seededPages();
    const run = own.seeded.training;
    const asked = (verb: string, after: string, seconds: number, changes = {}): string => {
      const { id } = createRequest(own.db, { run, verb, arguments: { after } });
      const row = { requested_at: Date.now() - seconds * 1000, ...changes };
      own.db.orm.update(request).set(row).where(eq(request.id, id)).run();
      return id;
    };
    const offer = async (): Promise<string | undefined> =>
      /<p class="forced">.*?<\/p>/s.exec(await text(`/runs/${run}`, own))?.[0].replace(/\s+/g, ' ');
    const id = asked('pause', 'step', 55);
    const page = await text(`/runs/${run}`, own);
    expect(await offer()).toBeUndefined();
    expect(page).toContain(`data-due="${getRequest(own.db, id).requested_at + 60_000}"`);
    asked('stop', 'epoch', 61, { acknowledged_at: Date.now() });
    asked('save', 'step', 61, { acknowledged_at: Date.now() });
    expect(await offer()).toBeUndefined();
    const unheard = asked('save', 'step', 61);
    expect(await offer()).toContain('Stop now');
    finishRequest(own.db, unheard);
    expect(await offer()).toBeUndefined();
    asked('stop', 'step', 61, { acknowledged_at: Date.now() });
    expect(await offer()).toMatch(
      /data-verb="stop" data-after="now" > Stop now .*loses the [\d,]+ steps/,
    );
    asked('stop', 'now', 1);
    for (const open of openRequests(own.db, run)) finishRequest(own.db, open.id);
    expect(await offer()).toBeUndefined();
    const { step } = getRun(own.db, run);
    const files = { path: '/x', sha256: 'x', bytes: 1 };
    saveCheckpoint(own.db, { run, epoch: 1, step: step - 37, kind: 'rolling', ...files });
    asked('stop', 'step', 61);
    expect(await offer()).toContain('loses the 37 steps since the last checkpoint');
    saveCheckpoint(own.db, { run, epoch: 1, step, kind: 'requested', ...files });
    expect(await offer()).toContain('loses no step');
    await own.close();
  });

  test('is found by its name too, and else is not there', async () => {
    expect((await pages.get('/runs/emoji-13')).status).toBe(200);
    expect((await pages.get('/runs/nobody')).status).toBe(404);
  });

  test('holds few pictures before the script takes over', async () => {
    const page = await text(`/runs/${pages.seeded.done}`);
    expect(page.match(/<img/g)?.length).toBeLessThanOrEqual(120);
    expect(page.match(/data-sample=/g)).toHaveLength(14 * 8);
  });
});

interface Curve {
  raw: { steps: number[]; values: (number | null)[]; x: number[] };
  smooth: { steps: number[]; values: (number | null)[]; x: number[] };
  nan: { step: number }[];
  nanCount: number;
  notPositive: number;
  clipped: number;
  low: number;
  high: number;
  count: number;
  marks: { kind: string; step: number }[];
  axis: string;
  table: { count: number }[];
}
const curve = async (query: string, run = pages.seeded.training): Promise<Curve> =>
  (await (await pages.get(`/runs/${run}/curve?${query}`)).json()) as Curve;

describe('a curve', () => {
  test('is smoothed before it is reduced: zooming changes nothing', async () => {
    const whole = await curve('buckets=2000&smooth=0.97');
    const part = await curve('buckets=2000&smooth=0.97&from=1000&to=1200');
    const reduced = await curve('buckets=50&smooth=0.97');
    const at = new Map(whole.smooth.steps.map((step, index) => [step, whole.smooth.values[index]]));
    for (const each of [part, reduced]) {
      each.smooth.steps.forEach((step, index) =>
        expect(each.smooth.values[index]).toBe(at.get(step)),
      );
    }
  });

  test('is smoothed by a running mean whose start weighs nothing, over what is a number', async () => {
    const { raw, smooth } = await curve('buckets=2000&smooth=0.9');
    let mean = 0;
    let count = 0;
    raw.values.forEach((value, index) => {
      if (value !== null) {
        mean = 0.9 * mean + 0.1 * value;
        count += 1;
      }
      expect(smooth.values[index]).toBeCloseTo(mean / (1 - 0.9 ** count), 10);
    });
    expect(count).toBe(1527);
  });

  test('keeps its true extremes', async () => {
    const whole = await curve('buckets=2000&clip=0');
    const reduced = await curve('buckets=20&clip=0');
    const greatest = (each: Curve): number =>
      Math.max(...each.raw.values.map((value) => value ?? 0));
    expect(greatest(reduced)).toBe(greatest(whole));
    expect(reduced.raw.steps.length).toBeLessThanOrEqual(20 * 5);
  });

  test('names what is no number, breaks there, and marks resumes', async () => {
    const whole = await curve('buckets=2000');
    expect(whole.nanCount).toBe(3);
    expect(whole.nan.map(({ step }) => step)).toEqual([700, 701, 1100]);
    expect(whole.raw.values[whole.raw.steps.indexOf(700)]).toBeNull();
    expect(whole.marks).toContainEqual(expect.objectContaining({ kind: 'resumed', step: 840 }));
  });

  test('counts the points that are out of the scale, and takes them in on demand', async () => {
    const clipped = await curve('buckets=2000');
    const all = await curve('buckets=2000&clip=0');
    const outside = all.raw.values.filter((value) => value !== null && value > clipped.high).length;
    expect(clipped.clipped).toBeGreaterThan(0);
    expect(outside).toBe(clipped.clipped);
    expect(all.clipped).toBe(0);
  });

  test('on a logarithmic scale breaks at 0 and below, and says how often', async () => {
    addPoints(pages.db, pages.seeded.paused, 'margin', [
      [1, 0.5],
      [2, 0],
      [3, -1],
      [4, 2],
    ]);
    const log = await curve('curve=margin&log=1', pages.seeded.paused);
    expect(log.notPositive).toBe(2);
    expect(log.raw.values).toEqual([0.5, null, null, 2]);
    expect(log.low).toBe(0.5);
  });

  test.each([
    ['step', 'step', 1530],
    ['epoch', 'epoch', 10.2],
  ])('against %s', async (x, axis, last) => {
    const answer = await curve(`x=${x}`);
    expect(answer.axis).toBe(axis);
    expect(answer.raw.x.at(-1)).toBeCloseTo(last);
  });

  test.each(['hours', 'cost'])('against %s rises', async (x) => {
    const answer = await curve(`x=${x}`);
    expect(answer.raw.x.at(-1)).toBeGreaterThan(0);
    expect(answer.raw.x).toEqual([...answer.raw.x].sort((a, b) => a - b));
  });

  test('of nothing is empty', async () => {
    const answer = await curve('curve=nothing');
    expect(answer.count).toBe(0);
    expect(answer.raw.steps).toEqual([]);
  });

  test('grows with the record', async () => {
    const before = await curve('buckets=2000', pages.seeded.paused);
    addPoints(pages.db, pages.seeded.paused, 'loss', [[601, 0.3]]);
    const after = await curve('buckets=2000', pages.seeded.paused);
    expect(after.count).toBe(before.count + 1);
  });
});

describe('a comparison', () => {
  test('says in one sentence which is better and what it cost', async () => {
    const page = await text(`/compare?a=emoji-13@10&b=emoji-13@13`);
    const verdict = /id="verdict">([\s\S]*?)<\/p>/
      .exec(page)?.[1]
      ?.replace(/<[^>]+>|\s+/g, ' ')
      .replace(/\s+/g, ' ');
    expect(verdict?.trim()).toMatch(
      /^B&#39;s validation loss is 0\.0111 lower \(lower in 7 of 8 bins\)\. Not voted\. B cost .+ Wh \(€.+\) more\.$/,
    );
    expect(page).toContain('Same prompt, same seed');
    expect(page).toMatch(/Settings that\s+differ\s*<span class="quiet">none/);
  });

  test('names the settings that differ', async () => {
    const page = await text('/compare?a=emoji-13@10&b=emoji-night@10');
    expect(page).toContain('train.learning_rate');
    expect(page).not.toContain('<th scope="row">name</th>');
  });

  test('without sides goes to an address that has them', async () => {
    const response = await pages.get('/compare');
    expect(response.status).toBe(302);
    expect(response.headers.get('location')).toMatch(/^\/compare\?a=\w+@\d+&b=\w+@\d+$/);
  });

  test.each([
    ['nobody@3', 404],
    ['emoji-13@99', 404],
    ['emoji-13', 404],
    ['@3', 404],
    ['emoji-13@-1', 404],
    ['emoji-13@1e3', 404],
  ])('with %s says what is not there', async (side, status) => {
    const response = await pages.get(`/compare?a=emoji-13@10&b=${encodeURIComponent(side)}`);
    expect(response.status).toBe(status);
    expect(await response.text()).toMatch(/names no run|has no epoch/);
  });
});

/** Reads a stream until it has said what is waited for. */
const listen = async (
  path: string,
  headers: Record<string, string>,
  until: (heard: string) => boolean,
  meanwhile?: () => void,
): Promise<string> => {
  const stop = new AbortController();
  const response = await pages.app.request(`${ORIGIN}${path}`, {
    headers: { host: HOST, ...headers },
    signal: stop.signal,
  });
  const reader = response.body?.getReader();
  const decoder = new TextDecoder();
  let heard = '';
  let told = false;
  if (reader === undefined) throw new Error('the stream has no body');
  while (!until(heard)) {
    const { done, value } = await reader.read();
    if (done) break;
    heard += decoder.decode(value, { stream: true });
    if (!told && heard.includes('event: progress')) {
      told = true;
      meanwhile?.();
    }
  }
  await reader.cancel();
  stop.abort();
  return heard;
};

describe('the stream', () => {
  const lastEvent = (): number =>
    pages.db.raw.prepare<[], { id: number }>('SELECT max(id) AS id FROM event').get()?.id ?? 0;

  test('tells what happens, with its id', async () => {
    const after = lastEvent();
    const heard = await listen(
      `/live?after=${after}`,
      {},
      (text) => text.includes('hello from a test'),
      () =>
        appendEvent(pages.db, {
          run: pages.seeded.training,
          kind: 'warning',
          message: 'hello from a test',
        }),
    );
    expect(heard).toContain(`id: ${after + 1}`);
    expect(heard).toContain('event: happened');
    expect(heard).not.toContain(`id: ${after}\n`);
  });

  test('tells a page that was away what it missed, once', async () => {
    const after = lastEvent();
    for (const number of [1, 2, 3]) {
      appendEvent(pages.db, {
        run: pages.seeded.training,
        kind: 'warning',
        message: `missed ${number}`,
      });
    }
    const heard = await listen('/live?after=0', { 'last-event-id': String(after) }, (text) =>
      text.includes('event: progress'),
    );
    expect(heard.match(/missed \d/g)).toEqual(['missed 1', 'missed 2', 'missed 3']);
    expect(heard.match(/event: happened/g)).toHaveLength(3);
  });

  test('tells of one run only where one is asked for', async () => {
    const after = lastEvent();
    appendEvent(pages.db, { run: pages.seeded.paused, kind: 'warning', message: 'of another' });
    appendEvent(pages.db, { run: pages.seeded.training, kind: 'warning', message: 'of this one' });
    const heard = await listen(`/live?after=${after}&run=${pages.seeded.training}`, {}, (text) =>
      text.includes('event: progress'),
    );
    expect(heard).toContain('of this one');
    expect(heard).not.toContain('of another');
  });

  test('asks a page that missed too much to read itself again', async () => {
    const heard = await listen('/live', { 'last-event-id': '0' }, (text) =>
      text.includes('event: progress'),
    );
    const count =
      pages.db.raw.prepare<[], { n: number }>('SELECT count(*) AS n FROM event').get()?.n ?? 0;
    expect(heard.includes('event: reset')).toBe(count > 500);
  });

  test('carries the progress of what moves', async () => {
    const heard = await listen(
      `/live?run=${pages.seeded.training}&after=${lastEvent()}`,
      {},
      (text) => text.includes('"step":1531'),
      () => {
        updateRun(pages.db, pages.seeded.training, { step: 1531, last_step_at: Date.now() });
        // Our own connection does not change its own data version: an event rings the bell.
        appendEvent(pages.db, { run: pages.seeded.training, kind: 'state', message: 'training' });
      },
    );
    expect(heard).toContain('1,531 of 1,950');
  });
});

test('health answers from the record', async () => {
  expect(await (await pages.get('/healthz')).json()).toMatchObject({ ok: true, pid: process.pid });
});
