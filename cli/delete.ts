import type { Command } from 'commander';
import { createInterface } from 'node:readline/promises';
import { TillerError } from '../recipes/errors.ts';
import { withRecord } from './context.ts';
import { findListedRun } from './find.ts';
import { print } from './output.ts';
import { type AskOptions, request, requestCommand } from './requests.ts';

interface DeleteOptions extends AskOptions {
  confirm?: string;
}

export const deleteCommand = (program: Command): Command =>
  requestCommand(program, 'delete', 'delete a run that is at rest, with all its files')
    .option('--confirm <name>', "the run's name again, instead of being asked for it")
    .action(async (name: string, { confirm, ...options }: DeleteOptions) => {
      const { id, name: called } = await withRecord(options, ({ db }) => findListedRun(db, name));
      const typed = confirm ?? (await askName(called));
      if (typed !== called) {
        throw new TillerError(
          'USAGE',
          `Nothing was deleted: ${typed || 'nothing'} is not ${called}`,
          {
            hint: "Give the run's name once more.",
          },
        );
      }
      await request(id, 'delete', options);
      print(`${called}: deleted`);
    });

async function askName(name: string): Promise<string> {
  if (!process.stdin.isTTY) {
    throw new TillerError('USAGE', `Deleting ${name} has to be confirmed`, {
      hint: `Add --confirm ${name}.`,
    });
  }
  const asking = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return await asking.question(
      `This deletes ${name} for good: its figures, samples, checkpoints and exports. Type its name: `,
    );
  } finally {
    asking.close();
  }
}
