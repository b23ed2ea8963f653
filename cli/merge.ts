import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { preparePlace } from '../activities/export/place.ts';
import { runExporter } from '../activities/export/run-exporter.ts';
import { PROTOCOL_VERSION } from '../native/protocol.ts';
import { writeTokenizerFolder } from '../native/tokenizer-folder.ts';
import { printExported, withExporter } from './export-bar.ts';
import { type Dtype, parseDtype, parseScale } from './export-options.ts';

interface Options {
  to: string;
  scale: number;
  dtype: Dtype;
  force?: boolean;
  json?: boolean;
}

export const mergeCommand = (program: Command): Command =>
  program
    .command('merge')
    .argument('<base>', 'a Stable Diffusion 1.x model: a .safetensors file or a diffusers folder')
    .argument('<lora>', 'a LoRA file for it, with the keys of kohya, diffusers or PEFT')
    .description('merge a LoRA into its base')
    .requiredOption('--to <path>', 'the .safetensors file to write, or else a diffusers folder')
    .option('--scale <s>', 'how much of the LoRA', parseScale, 1)
    .option('--dtype <type>', 'f16, bf16 or f32', parseDtype, 'F16')
    .option('--force', 'replace what is there')
    .option('--json', 'print JSON')
    .option('--verbose', 'with an error, show its stack')
    .action(async (base: string, lora: string, options: Options) => {
      const { scale, dtype, force = false } = options;
      const to = resolve(options.to);
      await preparePlace(to, force);
      const file = to.endsWith('.safetensors');
      const job = {
        protocol: PROTOCOL_VERSION,
        base: resolve(base),
        lora: resolve(lora),
        to,
        format: file ? 'single-file' : 'diffusers',
        dtype,
        scale,
        overwrite: force,
        threads: availableParallelism(),
        ...(file ? {} : { tokenizer: await writeTokenizerFolder() }),
      } as const;
      printExported(await withExporter((exporter) => runExporter(job, exporter)), options.json);
    });
