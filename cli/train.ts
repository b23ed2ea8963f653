import type { Command } from 'commander';
import { type CommonOptions, commonOptions, readRecipe, withRecord } from './context.ts';
import { print } from './output.ts';
import { ensureUp, runUrl } from './running.ts';
import { mustHaveData, startFromRecipe } from './start-run.ts';
import { watchRun } from './watch-run.ts';

interface TrainOptions extends CommonOptions {
  name?: string;
  set: string[];
  detach?: boolean;
}

const collect = (value: string, before: string[]): string[] => [...before, value];

export const trainCommand = (program: Command): Command =>
  commonOptions(program.command('train'))
    .argument('<recipe>', 'a recipe, such as recipes/examples/demo.yaml')
    .option(
      '--name <name>',
      "the run's name (default: the recipe's); a number is added if it is taken",
    )
    .option(
      '--set <key=value>',
      'another value for a key of the recipe, such as train.epochs=3',
      collect,
      [],
    )
    .option('--detach', 'start it and return')
    .description('start a run, and Tiller in the background if it is not up; show its progress')
    .action(async (path: string, options: TrainOptions) => {
      const { name, set, detach } = options;
      const { recipe, notes } = await readRecipe(path, [
        ...set,
        ...(name === undefined ? [] : [`name=${name}`]),
      ]);
      for (const note of notes) process.stderr.write(`${note}\n`);
      await mustHaveData(recipe);
      return withRecord(options, async (context) => {
        const { db } = context;
        await ensureUp(context, (line) => process.stderr.write(`${line}\n`));
        const run = await startFromRecipe(context, recipe, {
          notes,
          say: (line) => process.stderr.write(`${line}\n`),
        });
        print(`run ${run.name} (${run.id})`);
        if (detach !== true) return watchRun(db, run.id);
        const url = runUrl(db, run.id);
        if (url !== undefined) print(url);
        return undefined;
      });
    });
