import { resolve } from 'node:path';
import type { Command } from 'commander';
import { exportEpoch } from '../activities/export/export-epoch.ts';
import { type ExportFormat, exportFormats } from '../activities/export/place.ts';
import { getRun } from '../db/runs.ts';
import { writeTokenizerFolder } from '../native/tokenizer-folder.ts';
import { parseEpochAddress, type RunAddress } from './address.ts';
import { type CommonOptions, readingOptions, withRecord } from './context.ts';
import { printExported, withExporter } from './export-bar.ts';
import { type Dtype, oneOf, parseDtype } from './export-options.ts';
import { findEpoch, findListedRun } from './find.ts';

interface Options extends CommonOptions {
  json?: boolean;
  to: string;
  format?: ExportFormat;
  weights?: 'raw' | 'ema';
  dtype?: Dtype;
  force?: boolean;
}

export const exportCommand = (program: Command): Command =>
  readingOptions(program.command('export'))
    .argument('<run@epoch>', 'an epoch whose checkpoint is kept', parseEpochAddress)
    .description('write an epoch as files that other programs load')
    .requiredOption('--to <folder>', 'where to write it')
    .option(
      '--format <format>',
      `${exportFormats.join(', ')}; default lora for a run that trained one, else single-file`,
      oneOf(exportFormats),
    )
    .option(
      '--weights <which>',
      'ema: the running mean, raw: the weights as trained; default ema where there is one',
      oneOf(['ema', 'raw'] as const),
    )
    .option('--dtype <type>', 'f16, bf16 or f32; default f16', parseDtype)
    .option('--force', 'replace what is there')
    .action(async ({ run: name, epoch }: Required<RunAddress>, options: Options) => {
      const { to, format, weights, dtype, force } = options;
      const exported = await withRecord(options, async ({ db }) => {
        const listed = findListedRun(db, name);
        findEpoch(db, listed, epoch);
        const request = {
          run: getRun(db, listed.id),
          epoch,
          folder: resolve(to),
          ...(format === undefined ? {} : { format }),
          ...(weights === undefined ? {} : { weights }),
          ...(dtype === undefined ? {} : { dtype }),
          ...(force === undefined ? {} : { force }),
          ...(format === 'diffusers' ? { tokenizer: await writeTokenizerFolder() } : {}),
        };
        return withExporter((exporter) => exportEpoch(db, request, exporter));
      });
      printExported(exported, options.json);
    });
