import type { Command } from 'commander';
import { getEpoch } from '../db/epochs.ts';
import { unsampled } from '../db/prompts.ts';
import { wantedOf } from '../db/wanted.ts';
import { plural } from '../dashboards/pages/format.ts';
import { parseEpochAddress, type RunAddress } from './address.ts';
import { commonOptions, type CommonOptions, withRecord } from './context.ts';
import { findEpoch, findListedRun } from './find.ts';
import { print } from './output.ts';
import { request } from './requests.ts';

export const sampleCommand = (program: Command): Command =>
  commonOptions(program.command('sample'))
    .argument('<run@epoch>', 'an epoch that was evaluated', parseEpochAddress)
    .description('make the samples that an epoch lacks: of prompts that came later')
    .action(async ({ run: name, epoch }: Required<RunAddress>, options: CommonOptions) => {
      const { run, missing } = await withRecord(options, ({ db }) => {
        const listed = findListedRun(db, name);
        findEpoch(db, listed, epoch);
        const asked = wantedOf(getEpoch(db, listed.id, epoch));
        const all = unsampled(db, listed.id, epoch);
        return { run: listed, missing: all.filter((prompt) => !asked.includes(prompt)) };
      });
      for (const prompt of missing) {
        await request(run.id, 'make', { ...options, sample: { epoch, prompt } });
      }
      print(
        missing.length === 0
          ? `${run.name}@${epoch} lacks no sample that was not asked for already`
          : `${run.name}@${epoch}: ${plural(missing.length, 'sample')} asked for`,
      );
    });
