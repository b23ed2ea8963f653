/** ai-toolkit's document: `config.process[0]`, with a section for each concern. */
import type { Path } from '../shape.ts';
import { fromSubsets } from './subsets.ts';
import {
  isEmpty,
  isRecord,
  type Setting,
  type SettingProblem,
  type Source,
  wrong,
} from './setting.ts';

const processesOf = ({ config }: Record<string, unknown>): unknown[] | undefined =>
  isRecord(config) && Array.isArray(config['process']) ? config['process'] : undefined;

export const isAiToolkit = (document: Record<string, unknown>): boolean =>
  isRecord(processesOf(document)?.[0]);

/** Names that mean something else elsewhere, or nothing. */
const RENAMED: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  process: { type: '', sqlite_db_path: '', performance_log_every: 'performance_log_every' },
  network: {
    type: 'network_type',
    dropout: 'network_dropout',
    conv: 'conv_dim',
    transformer_only: '',
  },
  save: { dtype: 'save_dtype', save_format: '' },
  train: {
    dtype: 'mixed_precision',
    optimizer: 'optimizer_type',
    content_or_style: '',
    timestep_type: '',
    linear_timesteps: 'do_cfg',
    disable_sampling: '',
    switch_boundary_every: '',
    unload_text_encoder: '',
  },
  model: { assistant_lora_path: 'network_weights', use_flux_cfg: '' },
  sample: { sampler: 'sample_sampler' },
  logging: { log_every: '', use_ui_logger: '' },
};
const SECTIONS = Object.keys(RENAMED).filter((name) => name !== 'process');
/** Of all pictures that are sampled. */
const OF_PROMPTS = new Set(['prompts', 'samples', 'neg', 'seed', 'walk_seed', 'width', 'height']);

export function fromAiToolkit(
  document: Record<string, unknown>,
  source: Source,
): { settings: Setting[]; problems: SettingProblem[] } {
  const [process, second] = processesOf(document)!.filter(isRecord);
  const at: Path = ['config', 'process', 0];
  const settings: Setting[] = [];
  const problems: SettingProblem[] = [];
  const add = (name: string, value: unknown, path: Path) =>
    settings.push({ name, value, path, source });
  const { name } = document['config'] as Record<string, unknown>;
  add('output_name', name, ['config', 'name']);
  if (second !== undefined) {
    const from = { name: 'process', value: second, path: ['config', 'process', 1], source };
    problems.push(wrong(from, 'a second process', 'One file is one run here: make two of it.'));
  }
  for (const [key, value] of Object.entries(process!)) {
    if (key === 'datasets' || SECTIONS.includes(key)) continue;
    const renamed = RENAMED['process']![key] ?? key;
    if (renamed !== '') add(renamed, value, [...at, key]);
  }
  for (const section of SECTIONS) {
    for (const [key, value] of entriesOf(process![section])) {
      const path = [...at, section, key];
      if (section === 'sample' && OF_PROMPTS.has(key)) continue;
      if (key === 'ema_config' || key === 'optimizer_params') {
        for (const [inner, entry] of entriesOf(value)) add(inner, entry, [...path, inner]);
        continue;
      }
      const renamed = RENAMED[section]![key] ?? key;
      if (renamed !== '') add(renamed, value, path);
    }
  }
  const prompts = promptsOf(process!['sample']);
  if (prompts.length > 0) add('sample_prompts', prompts, [...at, 'sample', 'prompts']);
  const datasets = Array.isArray(process!['datasets']) ? process!['datasets'] : [];
  const folders = fromSubsets(
    datasets.map((dataset, index) =>
      entriesOf(dataset).map(([key, value]) => ({
        name: key,
        value: key === 'resolution' && Array.isArray(value) ? single(value) : value,
        path: [...at, 'datasets', index, key],
        source,
      })),
    ),
  );
  // It always sorts pictures into buckets.
  add('enable_bucket', true, [...at, 'datasets']);
  return {
    settings: [...settings, ...folders.settings],
    problems: [...problems, ...folders.problems],
  };
}

const entriesOf = (value: unknown): [string, unknown][] =>
  isRecord(value) ? Object.entries(value) : [];

/** Several are several sizes of every picture there: `resolution` refuses them. */
const single = (value: unknown[]): unknown => (value.length === 1 ? value[0] : { sizes: value });

function promptsOf(sample: unknown): unknown[] {
  if (!isRecord(sample)) return [];
  const { prompts, neg, seed, walk_seed: walks, width, height } = sample;
  if (!Array.isArray(prompts)) return [];
  return prompts.map((text: unknown, index) => ({
    text,
    ...(isEmpty(neg) ? {} : { negative: neg }),
    ...(typeof seed === 'number' ? { seed: walks === true ? seed + index : seed } : {}),
    ...(isEmpty(width) ? {} : { width }),
    ...(isEmpty(height) ? {} : { height }),
  }));
}
