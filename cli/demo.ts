/**
 * The whole road in one command: data, engine, trainer, a run, and the page that sets two of its
 * epochs side by side.
 */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { ListedRun } from '../db/pages.ts';
import { superviseUp } from '../engine/supervisor.ts';
import { stopOnSignals } from '../engine/up.ts';
import { parsePort, parsePositive } from './address.ts';
import { openBrowser } from './browser.ts';
import {
  commonOptions,
  type CommonOptions,
  type Context,
  readRecipe,
  withRecord,
} from './context.ts';
import { writeDemoData } from './demo-data.ts';
import { resumeOrStart } from './demo-run.ts';
import { engineBar } from './engine-bar.ts';
import { followRun } from './follow-run.ts';
import { compareUrl, ensureUp, runUrl, supervisorPid } from './running.ts';
import { createScreen, type Screen } from './screen.ts';
import { buildTrainer } from './trainer-bar.ts';
import { lastWords } from './watch-run.ts';

interface DemoOptions extends CommonOptions {
  exit?: boolean;
  epochs?: number;
  stepsPerEpoch?: number;
  port?: number;
}

const RECIPE = resolve(import.meta.dirname, '../recipes/examples/demo.yaml');

export const demoCommand = (program: Command): Command =>
  commonOptions(program.command('demo'))
    .option('--exit', 'end after the last epoch instead of serving until Ctrl-C')
    .option('--epochs <n>', 'another number of epochs than 13', parsePositive)
    .option('--steps-per-epoch <n>', 'another number of steps an epoch than 150', parsePositive)
    .option(
      '--port <port>',
      "the dashboard's port (default: 7420, or any if that is taken; 0: any)",
      parsePort,
    )
    .description('train a small picture model from nothing and compare two of its epochs')
    .action((options: DemoOptions) =>
      withRecord(options, async (context) => {
        const screen = createScreen(process.stdout);
        try {
          await demo(context, options, screen);
        } finally {
          screen.close();
        }
      }),
    );

async function demo(context: Context, options: DemoOptions, screen: Screen): Promise<void> {
  const begin = Date.now();
  const recipe = await demoRecipe(options);
  screen.say(`home      ${context.home}`);
  const data = await writeDemoData(recipe.data!.folder);
  screen.say(`data      ${data.pictures} pictures with captions in ${data.folder}`);
  for (const line of data.notice.trim().split('\n')) screen.say(`          ${line}`);
  await using up = await startUp(context, options, screen);
  await Promise.all([up.ready, buildTrainer(context.env, screen, up.signal)]);
  if (up.signal.aborted) return;
  const { run, resumed } = await resumeOrStart(context, recipe);
  const url = runUrl(context.db, run.id);
  screen.say(`run       ${run.name}${resumed ? ', which was unfinished: going on with it' : ''}`);
  screen.say(`watch it  ${url}`);
  const last = await followRun(context.db, run.id, screen, up.signal);
  if (up.signal.aborted) {
    screen.say('the next `npm run demo` goes on where this one stopped');
    return;
  }
  screen.say(lastWords(last));
  screen.say(`took      ${((Date.now() - begin) / 60_000).toFixed(1)} minutes`);
  const page = comparePage(context, last);
  if (page !== undefined) screen.say(`compare   ${page}`);
  if (options.exit === true) return;
  if (page !== undefined) openBrowser(page, context.env);
  screen.say('serving until Ctrl-C');
  await up.stopped;
}

async function demoRecipe({ epochs, stepsPerEpoch }: DemoOptions) {
  const set = [
    ...(epochs === undefined ? [] : [`train.epochs=${epochs}`]),
    ...(stepsPerEpoch === undefined ? [] : [`train.steps_per_epoch=${stepsPerEpoch}`]),
  ];
  return (await readRecipe(RECIPE, set)).recipe;
}

/** Epochs 10 and 13; of a shorter run the last one and one that stands as far back. */
function comparePage({ db }: Context, { id, epochs }: ListedRun): string | undefined {
  const earlier = Math.min(epochs - 1, Math.floor((epochs * 10) / 13));
  return compareUrl(db, { run: id, epoch: earlier }, { run: id, epoch: epochs });
}

interface DemoUp extends AsyncDisposable {
  ready: Promise<unknown>;
  /** Aborted when it stops. */
  signal: AbortSignal;
  stopped: Promise<void>;
}

/** An `up` that runs on this home already is used, and left running. */
async function startUp(context: Context, { port }: DemoOptions, screen: Screen): Promise<DemoUp> {
  const { db, home, env } = context;
  const stop = new AbortController();
  const pid = supervisorPid(db);
  if (pid !== undefined) {
    screen.say(`engine    that of the running Tiller (pid ${pid})`);
    const stopped = new Promise<void>((done) =>
      stop.signal.addEventListener('abort', () => done()),
    );
    const listen = () => stop.abort();
    process.once('SIGINT', listen);
    return {
      ready: ensureUp(context, screen.say),
      signal: stop.signal,
      stopped,
      [Symbol.asyncDispose]: async () => void process.off('SIGINT', listen),
    };
  }
  const bar = engineBar(screen);
  const up = await superviseUp({
    home,
    env,
    ports: port === undefined ? {} : { dashboard: port },
    say: (line) => screen.say(`engine    ${line}`),
    progress: bar.update,
  });
  const off = stopOnSignals(up, screen.say);
  void up.done.then(() => stop.abort());
  const unlessStopped = async <Result>(start: Promise<Result>): Promise<Result | undefined> => {
    try {
      return await start;
    } catch (error) {
      if (!stop.signal.aborted) throw error;
      return undefined;
    }
  };
  const dashboard = await unlessStopped(up.dashboard);
  if (dashboard !== undefined) screen.say(`dashboard http://${dashboard}`);
  return {
    ready: unlessStopped(up.ready).finally(bar.end),
    signal: stop.signal,
    stopped: up.done,
    [Symbol.asyncDispose]: async () => {
      await up.stop();
      off();
    },
  };
}
