import type { Command } from 'commander';
import { bringDown } from '../engine/down.ts';
import { commonOptions, type CommonOptions, withRecord } from './context.ts';
import { print } from './output.ts';

export const downCommand = (program: Command): Command =>
  commonOptions(program.command('down'))
    .description('stop Tiller on this home, every run at a checkpoint; `up` goes on with them')
    .action((options: CommonOptions) =>
      withRecord(options, async ({ db, home }) => {
        const ran = await bringDown(db, home, print);
        print(ran ? 'Tiller is stopped' : 'Tiller is not up on this home');
      }),
    );
