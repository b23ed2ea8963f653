/**
 * The record's tables as drizzle sees them. The SQL in migrations/ makes them; a test holds the two
 * together. Columns keep their SQL names, so that a row reads the same everywhere.
 */
import { blob, customType, integer, primaryKey, real, sqliteTable, text } from './drizzle.ts';
import { decodeFigure, encodeFigure } from './figures.ts';

/** A number that may be NaN or infinite. */
const figure = customType<{ data: number; driverData: number | Uint8Array }>({
  dataType: () => 'any',
  toDriver: encodeFigure,
  fromDriver: decodeFigure,
});

export const run = sqliteTable('run', {
  id: text().primaryKey(),
  name: text().notNull().unique(),
  created_at: integer().notNull(),
  recipe: text().notNull(),
  recipe_hash: text().notNull(),
  trainer: text().notNull(),
  device: text().notNull(),
  threads: integer().notNull(),
  priority: integer().notNull().default(3),
  state: text().notNull(),
  state_reason: text(),
  state_code: text(),
  state_at: integer().notNull(),
  epochs: integer().notNull(),
  steps_per_epoch: integer(),
  epoch: integer().notNull().default(0),
  step: integer().notNull().default(0),
  last_step_at: integer(),
  parent_run: text(),
  parent_epoch: integer(),
  dataset: text(),
  base: text(),
  fingerprint: text(),
  knows: text(),
  final_checkpoint: text(),
  started_at: integer(),
  ended_at: integer(),
});

export const epoch = sqliteTable(
  'epoch',
  {
    run: text().notNull(),
    epoch: integer().notNull(),
    state: text().notNull(),
    first_step: integer().notNull(),
    last_step: integer().notNull(),
    checkpoint: text(),
    train_loss: real(),
    train_loss_deviation: real(),
    train_loss_count: integer(),
    validation_loss: real(),
    started_at: integer(),
    trained_at: integer(),
    evaluated_at: integer(),
    wanted: text(),
  },
  (table) => [primaryKey({ columns: [table.run, table.epoch] })],
);

export const checkpoint = sqliteTable('checkpoint', {
  id: text().primaryKey(),
  run: text().notNull(),
  epoch: integer().notNull(),
  step: integer().notNull(),
  kind: text().notNull(),
  path: text().notNull(),
  sha256: text().notNull(),
  weights_sha256: text(),
  bytes: integer().notNull(),
  created_at: integer().notNull(),
  state: text().notNull().default('kept'),
});

export const series = sqliteTable('series', {
  id: integer().primaryKey(),
  run: text().notNull(),
  name: text().notNull(),
  last_step: integer(),
  sealed_step: integer(),
  sealed: integer().notNull().default(0),
  hot: integer().notNull().default(0),
});

export const metricPoint = sqliteTable(
  'metric_point',
  {
    series: integer().notNull(),
    step: integer().notNull(),
    value: figure().notNull(),
  },
  (table) => [primaryKey({ columns: [table.series, table.step] })],
);

export const metricChunk = sqliteTable(
  'metric_chunk',
  {
    series: integer().notNull(),
    level: integer().notNull(),
    first_step: integer().notNull(),
    last_step: integer().notNull(),
    n: integer().notNull(),
    nan: integer().notNull(),
    min: real(),
    max: real(),
    sum: real(),
    first: figure().notNull(),
    last: figure().notNull(),
    data: blob({ mode: 'buffer' }),
  },
  (table) => [primaryKey({ columns: [table.series, table.level, table.first_step] })],
);

export const prompt = sqliteTable('prompt', {
  id: text().primaryKey(),
  run: text().notNull(),
  position: integer().notNull(),
  text: text().notNull(),
  negative: text().notNull(),
  seed: integer().notNull().default(7),
  width: integer(),
  height: integer(),
  created_at: integer().notNull().default(0),
  dropped_at: integer(),
  extra: text(),
});

export const sample = sqliteTable('sample', {
  id: text().primaryKey(),
  run: text().notNull(),
  epoch: integer().notNull(),
  step: integer().notNull(),
  prompt: text().notNull(),
  seed: integer().notNull(),
  sampler: text().notNull(),
  sampling_steps: integer().notNull(),
  guidance: real().notNull(),
  width: integer().notNull(),
  height: integer().notNull(),
  weights: text().notNull(),
  checkpoint: text(),
  artifact: text().notNull(),
  request: text(),
  created_at: integer().notNull(),
});

export const artifact = sqliteTable('artifact', {
  sha256: text().primaryKey(),
  media_type: text().notNull(),
  bytes: integer().notNull(),
  width: integer(),
  height: integer(),
  created_at: integer().notNull(),
});

export const dataset = sqliteTable('dataset', {
  id: text().primaryKey(),
  folder: text().notNull(),
  manifest: text().notNull(),
  width: integer().notNull(),
  height: integer().notNull(),
  train_items: integer().notNull(),
  validation_items: integer().notNull(),
  problems: text().notNull().default('[]'),
  licence: text(),
  created_at: integer().notNull(),
});

export const item = sqliteTable(
  'item',
  {
    dataset: text().notNull(),
    position: integer().notNull(),
    key: text().notNull(),
    file: text().notNull(),
    split: text().notNull(),
  },
  (table) => [primaryKey({ columns: [table.dataset, table.position] })],
);

export const caption = sqliteTable('caption', {
  id: integer().primaryKey(),
  dataset: text().notNull(),
  position: integer().notNull(),
  text: text().notNull(),
  source: text().notNull(),
  author: text(),
  model: text(),
  weight: real().notNull().default(1),
  created_at: integer().notNull(),
});

export const evaluation = sqliteTable(
  'evaluation',
  {
    run: text().notNull(),
    epoch: integer().notNull(),
    step: integer().notNull(),
    weights: text().notNull(),
    loss: figure().notNull(),
    bins: text().notNull(),
    items: integer(),
    created_at: integer().notNull(),
  },
  (table) => [primaryKey({ columns: [table.run, table.epoch, table.weights] })],
);

export const vote = sqliteTable('vote', {
  id: text().primaryKey(),
  left_sample: text().notNull(),
  right_sample: text().notNull(),
  answer: text().notNull(),
  undoes: text(),
  voter: text().notNull(),
  blind: integer().notNull(),
  created_at: integer().notNull(),
});

export const steering = sqliteTable(
  'steering',
  {
    run: text().notNull(),
    epoch: integer().notNull(),
    settings: text().notNull(),
    reason: text().notNull(),
    created_at: integer().notNull(),
  },
  (table) => [primaryKey({ columns: [table.run, table.epoch] })],
);

export const usage = sqliteTable('usage', {
  id: integer().primaryKey(),
  run: text().notNull(),
  epoch: integer().notNull(),
  stage: text().notNull(),
  launch: integer().notNull().unique(),
  device_seconds: real().notNull(),
  joules: real().notNull(),
  metered: integer().notNull(),
  money: real().notNull(),
  currency: text().notNull(),
});

export const event = sqliteTable('event', {
  id: integer().primaryKey({ autoIncrement: true }),
  run: text(),
  at: integer().notNull(),
  kind: text().notNull(),
  epoch: integer(),
  step: integer(),
  code: text(),
  message: text().notNull(),
  data: text(),
});

export const lease = sqliteTable('lease', {
  run: text().primaryKey(),
  lease: integer().notNull(),
  owner: text().notNull(),
  taken_at: integer().notNull(),
});

export const launch = sqliteTable('launch', {
  id: integer().primaryKey(),
  run: text().notNull(),
  epoch: integer().notNull(),
  stage: text().notNull(),
  folder: text().notNull(),
  pid: integer(),
  process_start: text(),
  spool_offset: integer().notNull().default(0),
  state: text().notNull(),
  first_step: integer(),
  last_step: integer(),
  outcome: text(),
  started_at: integer().notNull(),
  ended_at: integer(),
  preview: text(),
  progress: text(),
  memory: text(),
});

export const attempt = sqliteTable('attempt', {
  activity: text().primaryKey(),
  token: text().notNull(),
  attempt: integer().notNull(),
  pid: integer().notNull(),
  process_start: text().notNull(),
  at: integer().notNull(),
});

export const device = sqliteTable('device', {
  name: text().primaryKey(),
  holder: text(),
  since: integer(),
});

export const deviceWait = sqliteTable('device_wait', {
  device: text().notNull(),
  run: text().primaryKey(),
  priority: integer().notNull(),
  since: integer().notNull(),
  asked_at: integer().notNull(),
});

export const request = sqliteTable('request', {
  id: text().primaryKey(),
  run: text().notNull(),
  verb: text().notNull(),
  arguments: text().notNull().default('{}'),
  requested_at: integer().notNull(),
  acknowledged_at: integer(),
  delivered_at: integer(),
  done_at: integer(),
  refused: text(),
});

export const process = sqliteTable('process', {
  role: text().primaryKey(),
  pid: integer().notNull(),
  process_start: text().notNull(),
  address: text(),
  state: text().notNull(),
  restarts: integer().notNull().default(0),
  since: integer().notNull(),
});
