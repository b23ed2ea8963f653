import type { Command } from 'commander';
import { formatAge, formatLoss, formatMoney } from '../dashboards/pages/format.ts';
import { progressOf, stateOf, underWay } from '../dashboards/progress.ts';
import { type ListedRun, listRunsForPage } from '../db/pages.ts';
import { type CommonOptions, readingOptions, withRecord } from './context.ts';
import { runJson } from './json.ts';
import { print, printJson, table } from './output.ts';
import { sayIfDown } from './running.ts';

export const runsCommand = (program: Command): Command =>
  readingOptions(program.command('runs'))
    .description('list the runs, newest first')
    .action((options: CommonOptions & { json?: boolean }) =>
      withRecord(options, ({ db }) => {
        const runs = listRunsForPage(db);
        if (options.json === true) return printJson(runs.map((run) => runJson(db, run)));
        if (runs.length === 0) {
          return print(
            'No runs yet. Start one with `tiller train recipes/examples/demo.yaml`, or see `npm run demo`.',
          );
        }
        const now = Date.now();
        const headings = [
          'run',
          'state',
          '>epoch',
          '>step',
          '>validation',
          '>best',
          '>cost',
          'started',
        ];
        const cost = (run: ListedRun) => {
          const { money, currency } = progressOf(db, run, now);
          return formatMoney(money, currency);
        };
        const rows = runs.map((run) => [
          run.name,
          stateOf(run),
          `${run.epoch}/${run.epochs}`,
          String(run.step),
          formatLoss(run.lastValidation),
          run.bestEpoch === null ? '–' : `${formatLoss(run.bestValidation)} @${run.bestEpoch}`,
          cost(run),
          formatAge(run.createdAt, now),
        ]);
        print(table(headings, rows));
        const goes = runs.some(({ state }) => underWay.has(state) && state !== 'paused');
        return goes ? sayIfDown(db) : undefined;
      }),
    );
