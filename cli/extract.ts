import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { VERIFY } from '../activities/export/export-epoch.ts';
import { preparePlace } from '../activities/export/place.ts';
import { runExporter } from '../activities/export/run-exporter.ts';
import { PROTOCOL_VERSION } from '../native/protocol.ts';
import { printExported, withExporter } from './export-bar.ts';
import { type Dtype, oneOf, parseDtype, parseRank, requireSafetensors } from './export-options.ts';

interface Options {
  to: string;
  rank: number;
  format: 'lora' | 'peft';
  dtype: Dtype;
  force?: boolean;
  json?: boolean;
}

export const extractCommand = (program: Command): Command =>
  program
    .command('extract')
    .argument('<base>', 'a Stable Diffusion 1.x model: a .safetensors file or a diffusers folder')
    .argument('<tuned>', 'a fine-tune of it')
    .description("make a LoRA of a fine-tune's difference from its base")
    .requiredOption('--to <file>', 'the .safetensors file to write')
    .option('--rank <n>', 'of each matrix; more keeps more of the difference', parseRank, 32)
    .option(
      '--format <format>',
      'the keys: lora (kohya) or peft',
      oneOf(['lora', 'peft'] as const),
      'lora',
    )
    .option('--dtype <type>', 'f16, bf16 or f32', parseDtype, 'F16')
    .option('--force', 'replace a file that is there')
    .option('--json', 'print JSON')
    .option('--verbose', 'with an error, show its stack')
    .action(async (base: string, tuned: string, options: Options) => {
      const { rank, format, dtype, force = false } = options;
      const to = resolve(requireSafetensors(options.to));
      await preparePlace(to, force);
      const job = {
        protocol: PROTOCOL_VERSION,
        base: resolve(base),
        tuned: resolve(tuned),
        to,
        format,
        dtype,
        rank,
        overwrite: force,
        threads: availableParallelism(),
        verify: VERIFY,
      } as const;
      printExported(await withExporter((exporter) => runExporter(job, exporter)), options.json);
    });
