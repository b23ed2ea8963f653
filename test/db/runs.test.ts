import { describe, expect, test } from '@jest/globals';
import { getDataset, saveDataset } from '../../db/datasets.ts';
import { eventsAfter } from '../../db/events.ts';
import { launchEnded, openLaunches } from '../../db/launches.ts';
import { usageOfEpochs } from '../../db/pages.ts';
import {
  acknowledgeRequest,
  createRequest,
  deliverRequest,
  finishRequest,
  getRequest,
  openRequests,
  pendingDeliveries,
  refuseRequest,
  stopAsked,
} from '../../db/requests.ts';
import { findRun, getRun, listRuns, recipeOf, setRunState } from '../../db/runs.ts';
import { promptsOf } from '../../db/prompts.ts';
import { saveUsage } from '../../db/usage.ts';
import { newLaunch, newRecord, newRun, working } from './record.ts';

describe('a run', () => {
  test('has an id for addresses, its recipe, and its prompts', () => {
    const db = newRecord();
    const run = newRun(db, { samples: { prompts: ['cat', { text: 'dog', negative: 'blur' }] } });
    expect(run.id).toMatch(/^[a-z0-9]{10}$/);
    expect(run.state).toBe('queued');
    expect(recipeOf(run).train.epochs).toBe(13);
    expect(promptsOf(db, run.id)).toMatchObject([
      { position: 0, text: 'cat', negative: '' },
      { position: 1, text: 'dog', negative: 'blur' },
    ]);
  });

  test('a taken name gets a number, and stays a valid name', () => {
    const db = newRecord();
    const names = [1, 2, 3].map(() => newRun(db, { name: 'emoji' }).name);
    expect(names).toEqual(['emoji', 'emoji-2', 'emoji-3']);
    const long = 'x'.repeat(64);
    newRun(db, { name: long });
    expect(newRun(db, { name: long }).name).toBe(`${'x'.repeat(62)}-2`);
  });

  test('is found by name or id; for a misspelt one the nearest is named', () => {
    const db = newRecord();
    const { id } = newRun(db, { name: 'emoji' });
    expect([findRun(db, 'emoji').id, findRun(db, id).id]).toEqual([id, id]);
    expect(() => findRun(db, 'emojy')).toThrow(
      expect.objectContaining({ code: 'RUN_NOT_FOUND', hint: expect.stringContaining('emoji') }),
    );
    expect(() => getRun(db, 'nothing')).toThrow(expect.objectContaining({ code: 'RUN_NOT_FOUND' }));
    expect(listRuns(db)).toHaveLength(1);
  });

  test('moves from state to state, each said once, with when it began and ended', () => {
    const db = newRecord();
    const { id } = newRun(db);
    setRunState(db, id, 'waiting');
    expect(getRun(db, id).started_at).toBeNull();
    setRunState(db, id, 'training');
    setRunState(db, id, 'training');
    const began = getRun(db, id).started_at;
    setRunState(db, id, 'failed', { reason: 'no space', code: 'DISK_FULL' });
    expect(getRun(db, id)).toMatchObject({
      state_reason: 'no space',
      state_code: 'DISK_FULL',
      started_at: began,
    });
    expect(getRun(db, id).ended_at).not.toBeNull();
    setRunState(db, id, 'queued', { reason: 'resumed' });
    expect(getRun(db, id)).toMatchObject({ ended_at: null, state_code: null, started_at: began });
    expect(eventsAfter(db, 0, id).map(({ message }) => message)).toEqual([
      'queued',
      'waiting',
      'training',
      'failed: no space',
      'queued: resumed',
    ]);
  });
});

describe('a request', () => {
  test('goes from asked to taken to told to done, and stays done', () => {
    const { db, run } = working();
    const { id } = createRequest(db, { run, verb: 'save', arguments: {} });
    expect(pendingDeliveries(db, run)).toEqual([]);
    acknowledgeRequest(db, id);
    expect(pendingDeliveries(db, run)).toMatchObject([{ id }]);
    deliverRequest(db, id);
    expect(pendingDeliveries(db, run)).toEqual([]);
    expect(openRequests(db, run)).toHaveLength(1);
    finishRequest(db, id);
    refuseRequest(db, id, 'too late');
    expect(getRequest(db, id)).toMatchObject({ refused: null });
    expect(openRequests(db, run)).toEqual([]);
  });

  test('that a trainer was told and did not do is told to the next one', () => {
    const { db, run, lease, launch } = working();
    const { id } = createRequest(db, { run, verb: 'sample', arguments: {} });
    acknowledgeRequest(db, id);
    deliverRequest(db, id);
    launchEnded(db, lease, launch.id, { exit: { code: null, signal: 'SIGKILL' } });
    expect(pendingDeliveries(db, run)).toMatchObject([{ id }]);
  });

  test('to stop after the step stops the trainer, after the epoch it does not', () => {
    const { db, run } = working();
    const epoch = createRequest(db, { run, verb: 'pause', arguments: { after: 'epoch' } });
    acknowledgeRequest(db, epoch.id);
    expect(stopAsked(db, run)).toBeUndefined();
    const step = createRequest(db, { run, verb: 'stop', arguments: { after: 'step' } });
    expect(stopAsked(db, run)).toBeUndefined();
    acknowledgeRequest(db, step.id);
    expect(stopAsked(db, run)).toBe('saved');
    const now = createRequest(db, { run, verb: 'stop', arguments: { after: 'now' } });
    acknowledgeRequest(db, now.id);
    expect(stopAsked(db, run)).toBe('now');
    for (const { id } of [step, now]) finishRequest(db, id);
    expect(stopAsked(db, run)).toBeUndefined();
  });
});

test('launches are open until they end, once', () => {
  const { db, run, lease, launch } = working();
  const next = newLaunch(db, lease);
  expect(openLaunches(db, run).map(({ id }) => id)).toEqual([launch.id, next.id]);
  launchEnded(db, lease, launch.id, { exit: { code: 0, signal: null } });
  launchEnded(db, lease, launch.id, null);
  expect(openLaunches(db, run).map(({ id }) => id)).toEqual([next.id]);
  const ended = db.raw.prepare('SELECT outcome FROM launch WHERE id = ?').get(launch.id);
  expect(ended).toEqual({ outcome: '{"exit":{"code":0,"signal":null}}' });
});

test('usage is a row a launch, brought up to date', () => {
  const { db, run, lease, launch } = working();
  const cost = { metered: true, pricePerKwh: 0.5, currency: 'EUR' };
  saveUsage(db, lease, launch, { ...cost, deviceSeconds: 1, joules: 1 });
  saveUsage(db, lease, launch, { ...cost, deviceSeconds: 10, joules: 3.6e6 });
  const second = newLaunch(db, lease, 2);
  saveUsage(db, lease, second, { ...cost, deviceSeconds: 5, joules: 7.2e6, metered: false });
  const shared = { currency: 'EUR' };
  expect(usageOfEpochs(db, run)).toEqual([
    { epoch: 1, seconds: 10, joules: 3.6e6, money: 0.5, metered: 1, ...shared },
    { epoch: 2, seconds: 5, joules: 7.2e6, money: 1, metered: 0, ...shared },
  ]);
});

test('a data set is kept once, with its items and captions', () => {
  const db = newRecord();
  const set = {
    hash: 'h',
    folder: '/pictures',
    manifest: '/home/datasets/h/manifest.json',
    width: 32,
    height: 32,
    trainItems: 1,
    validationItems: 1,
    problems: [{ kind: 'duplicate', file: 'b.png', detail: 'of a.png' }],
    licence: null,
    items: [
      {
        position: 0,
        key: 'k0',
        file: 'a.png',
        split: 'train',
        captions: [
          { text: 'a', weight: 1 },
          { text: 'b', weight: 2 },
        ],
      },
      { position: 1, key: 'k1', file: 'c.png', split: 'validation', captions: [] },
    ],
  };
  saveDataset(db, set);
  saveDataset(db, { ...set, manifest: '/elsewhere/manifest.json' });
  expect(getDataset(db, 'h')).toMatchObject({
    manifest: '/elsewhere/manifest.json',
    train_items: 1,
  });
  const all = (table: string) => db.raw.prepare(`SELECT * FROM ${table} ORDER BY rowid`).all();
  expect(all('item')).toMatchObject([{ split: 'train' }, { split: 'validation', file: 'c.png' }]);
  expect(all('caption')).toMatchObject([
    { position: 0, text: 'a', weight: 1, source: 'file' },
    { position: 0, text: 'b', weight: 2 },
  ]);
});
