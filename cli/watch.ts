import type { Command } from 'commander';
import { type CommonOptions, commonOptions, withRecord } from './context.ts';
import { findListedRun } from './find.ts';
import { watchRun } from './watch-run.ts';

export const watchCommand = (program: Command): Command =>
  commonOptions(program.command('watch'))
    .argument('<run>', 'a run by name or id')
    .description('attach to the progress of a run; Ctrl-C leaves it running')
    .action((name: string, options: CommonOptions) =>
      withRecord(options, ({ db }) => watchRun(db, findListedRun(db, name).id)),
    );
