-- The record. Times are milliseconds since 1970-01-01 UTC. REAL columns may hold NaN only as NULL
-- beside a flag; metric values keep NaN and infinities as 8 raw bytes (see metric_point).

CREATE TABLE run (
  id TEXT PRIMARY KEY,                    -- 10 characters, opaque, safe in an address
  name TEXT NOT NULL UNIQUE,
  created_at INTEGER NOT NULL,
  recipe TEXT NOT NULL,                   -- resolved recipe, JSON
  recipe_hash TEXT NOT NULL,
  trainer TEXT NOT NULL,                  -- name or command, for people
  device TEXT NOT NULL,                   -- the device it waits for: "cpu", "cuda:0"
  threads INTEGER NOT NULL,
  priority INTEGER NOT NULL DEFAULT 3,
  -- queued | preparing | waiting | training | evaluating | exporting | pausing | paused | stopping
  -- | interrupted | done | stopped | failed
  state TEXT NOT NULL,
  state_reason TEXT,                      -- why, in a sentence (an error's line for failed)
  state_code TEXT,                        -- an error's code
  state_at INTEGER NOT NULL,
  epochs INTEGER NOT NULL,
  steps_per_epoch INTEGER,                -- known once the data set is
  epoch INTEGER NOT NULL DEFAULT 0,       -- epoch under way; epochs done when nothing is
  step INTEGER NOT NULL DEFAULT 0,        -- newest step in the record
  last_step_at INTEGER,                   -- when a step line was last taken in, also a redone one
  parent_run TEXT REFERENCES run (id),    -- forked from
  parent_epoch INTEGER,
  dataset TEXT REFERENCES dataset (id),
  fingerprint TEXT,                       -- JSON of hello.fingerprint: device, threads, kernels
  knows TEXT,                             -- hello.knows, comma-separated: what its trainer can do
  final_checkpoint TEXT,                  -- checkpoint.id of the last epoch
  started_at INTEGER,
  ended_at INTEGER
) STRICT;

CREATE TABLE epoch (
  run TEXT NOT NULL REFERENCES run (id),
  epoch INTEGER NOT NULL,                 -- 0 is the untouched base
  state TEXT NOT NULL,                    -- training | trained | evaluated
  first_step INTEGER NOT NULL,
  last_step INTEGER NOT NULL,
  checkpoint TEXT REFERENCES checkpoint (id),
  train_loss REAL,                        -- mean of the epoch's steps
  train_loss_deviation REAL,
  train_loss_count INTEGER,
  validation_loss REAL,
  started_at INTEGER,
  trained_at INTEGER,
  evaluated_at INTEGER,
  PRIMARY KEY (run, epoch)
) STRICT;

CREATE TABLE checkpoint (
  id TEXT PRIMARY KEY,
  run TEXT NOT NULL REFERENCES run (id),
  epoch INTEGER NOT NULL,
  step INTEGER NOT NULL,
  kind TEXT NOT NULL,                     -- rolling | epoch | requested
  path TEXT NOT NULL,                     -- absolute folder
  sha256 TEXT NOT NULL,                   -- of its manifest.json
  weights_sha256 TEXT,                    -- of weights.safetensors, from the manifest
  bytes INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  state TEXT NOT NULL DEFAULT 'kept',     -- kept | deleted | corrupt
  UNIQUE (run, step, kind)
) STRICT;

-- A named curve of a run. Steps ascend; a redone step is compared with what is here, never replaced.
CREATE TABLE series (
  id INTEGER PRIMARY KEY,
  run TEXT NOT NULL REFERENCES run (id),
  name TEXT NOT NULL,                     -- loss, lr, grad_norm, ms, …
  last_step INTEGER,                      -- newest step, hot or sealed
  sealed_step INTEGER,                    -- newest step in metric_chunk
  sealed INTEGER NOT NULL DEFAULT 0,      -- points in metric_chunk
  hot INTEGER NOT NULL DEFAULT 0,         -- points in metric_point
  UNIQUE (run, name)
) STRICT;

-- Hot points. value is REAL; NaN cannot be a REAL in SQLite, so those points carry 8 raw bytes.
CREATE TABLE metric_point (
  series INTEGER NOT NULL REFERENCES series (id),
  step INTEGER NOT NULL,
  value ANY NOT NULL,                     -- REAL, or BLOB: IEEE 754 double, little-endian (NaN, ±Infinity)
  PRIMARY KEY (series, step)
) STRICT, WITHOUT ROWID;

-- Sealed points. A chunk of level 0 holds 1024 points in data (the last one may be short): their values
-- as little-endian doubles, and behind those their steps, also doubles, unless each step is the one
-- before plus one. A chunk of level n stands for the 2^n full chunks of level 0 under it, for zooming
-- out, and has no data.
CREATE TABLE metric_chunk (
  series INTEGER NOT NULL REFERENCES series (id),
  level INTEGER NOT NULL,
  first_step INTEGER NOT NULL,
  last_step INTEGER NOT NULL,
  n INTEGER NOT NULL,                     -- points under this chunk, NaN included
  nan INTEGER NOT NULL,                   -- how many of them are NaN or infinite
  min REAL, max REAL, sum REAL,           -- of the finite ones
  first ANY NOT NULL, last ANY NOT NULL,  -- values, as metric_point.value
  data BLOB,
  PRIMARY KEY (series, level, first_step)
) STRICT, WITHOUT ROWID;

CREATE TABLE prompt (
  id TEXT PRIMARY KEY,                    -- <run>-<position>; a recipe is never edited, so neither is a prompt
  run TEXT NOT NULL REFERENCES run (id),
  position INTEGER NOT NULL,              -- index in the recipe
  text TEXT NOT NULL,
  negative TEXT NOT NULL,
  UNIQUE (run, position)
) STRICT;

CREATE TABLE sample (
  id TEXT PRIMARY KEY,                    -- opaque
  run TEXT NOT NULL REFERENCES run (id),
  epoch INTEGER NOT NULL,
  step INTEGER NOT NULL,
  prompt TEXT NOT NULL REFERENCES prompt (id),
  seed INTEGER NOT NULL,
  sampler TEXT NOT NULL,
  sampling_steps INTEGER NOT NULL,
  guidance REAL NOT NULL,
  width INTEGER NOT NULL,
  height INTEGER NOT NULL,
  weights TEXT NOT NULL,                  -- ema | raw
  checkpoint TEXT,                        -- sha256 of the checkpoint's weights, where it was made from one
  artifact TEXT NOT NULL REFERENCES artifact (sha256),
  request TEXT,                           -- made on request, outside an evaluation
  created_at INTEGER NOT NULL,
  UNIQUE (run, epoch, step, prompt, seed, sampler, sampling_steps, guidance, width, height, weights)
) STRICT;

-- Files by content, under artifacts/<2 digits>/<sha256>.
CREATE TABLE artifact (
  sha256 TEXT PRIMARY KEY,
  media_type TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  width INTEGER,
  height INTEGER,
  created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE dataset (
  id TEXT PRIMARY KEY,                    -- hash of its manifest
  folder TEXT NOT NULL,                   -- where the pictures came from
  manifest TEXT NOT NULL,                 -- absolute path of the prepared manifest.json
  width INTEGER NOT NULL,
  height INTEGER NOT NULL,
  train_items INTEGER NOT NULL,
  validation_items INTEGER NOT NULL,
  problems TEXT NOT NULL DEFAULT '[]',    -- JSON: [{kind, file, detail}] what was left out and why
  licence TEXT,                           -- text of LICENSE/NOTICE beside the pictures
  created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE item (
  dataset TEXT NOT NULL REFERENCES dataset (id),
  position INTEGER NOT NULL,              -- picture's index in pixels.u8
  key TEXT NOT NULL,                      -- content hash, 16 hex digits
  file TEXT NOT NULL,                     -- relative to the folder
  split TEXT NOT NULL,                    -- train | validation
  PRIMARY KEY (dataset, position)
) STRICT;

CREATE TABLE caption (
  id INTEGER PRIMARY KEY,
  dataset TEXT NOT NULL,
  position INTEGER NOT NULL,
  text TEXT NOT NULL,
  source TEXT NOT NULL,                   -- file | human | model
  author TEXT,
  model TEXT,
  weight REAL NOT NULL DEFAULT 1,
  created_at INTEGER NOT NULL,
  FOREIGN KEY (dataset, position) REFERENCES item (dataset, position)
) STRICT;

CREATE TABLE evaluation (
  run TEXT NOT NULL REFERENCES run (id),
  epoch INTEGER NOT NULL,
  step INTEGER NOT NULL,
  weights TEXT NOT NULL,                  -- ema | raw
  loss ANY NOT NULL,                      -- as metric_point.value
  bins TEXT NOT NULL,                     -- JSON: [{timestep, loss}]
  items INTEGER,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (run, epoch, weights)
) STRICT;

-- Votes are immutable; undo is a row.
CREATE TABLE vote (
  id TEXT PRIMARY KEY,
  left_sample TEXT NOT NULL REFERENCES sample (id),
  right_sample TEXT NOT NULL REFERENCES sample (id),
  answer TEXT NOT NULL,                   -- left | right | tie | both-bad | skip | undo
  undoes TEXT REFERENCES vote (id),
  voter TEXT NOT NULL,
  blind INTEGER NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE steering (
  run TEXT NOT NULL REFERENCES run (id),
  epoch INTEGER NOT NULL,
  settings TEXT NOT NULL,                 -- JSON
  reason TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (run, epoch)
) STRICT;

-- One row a trainer process: what it cost.
CREATE TABLE usage (
  id INTEGER PRIMARY KEY,
  run TEXT NOT NULL REFERENCES run (id),
  epoch INTEGER NOT NULL,
  stage TEXT NOT NULL,                    -- train | evaluate
  launch INTEGER NOT NULL UNIQUE REFERENCES launch (id),
  device_seconds REAL NOT NULL,
  joules REAL NOT NULL,
  metered INTEGER NOT NULL,               -- 1: read from the card; 0: the recipe's watts
  money REAL NOT NULL,
  currency TEXT NOT NULL
) STRICT;

CREATE TABLE event (
  id INTEGER PRIMARY KEY AUTOINCREMENT,   -- Last-Event-ID of the pages
  run TEXT REFERENCES run (id),
  at INTEGER NOT NULL,
  kind TEXT NOT NULL,                     -- state | resumed | checkpoint | sample | validation | warning | error | difference | request | device …
  epoch INTEGER,
  step INTEGER,
  code TEXT,
  message TEXT NOT NULL,
  data TEXT                               -- JSON
) STRICT;
CREATE INDEX event_of_run ON event (run, id);

-- Who may write for a run: raised by each attempt, in BEGIN IMMEDIATE. An older one is refused.
CREATE TABLE lease (
  run TEXT PRIMARY KEY REFERENCES run (id),
  lease INTEGER NOT NULL,
  owner TEXT NOT NULL,                    -- pid:start time of the worker
  taken_at INTEGER NOT NULL
) STRICT;

-- One row a trainer process ever started: how the next worker finds a living one, or its spool.
CREATE TABLE launch (
  id INTEGER PRIMARY KEY,
  run TEXT NOT NULL REFERENCES run (id),
  epoch INTEGER NOT NULL,
  stage TEXT NOT NULL,                    -- train | evaluate
  folder TEXT NOT NULL,                   -- holds job.json, spool.jsonl, stderr.log, commands (FIFO), followed
  pid INTEGER,
  process_start TEXT,                     -- so that a reused pid is not taken for it
  spool_offset INTEGER NOT NULL DEFAULT 0,-- bytes taken in; moved in the same transaction as what they said
  state TEXT NOT NULL,                    -- starting | running | ended
  first_step INTEGER,                     -- first and last step that it said; below run.step they are redone
  last_step INTEGER,
  outcome TEXT,                           -- JSON: {exit, signal, done}
  started_at INTEGER NOT NULL,
  ended_at INTEGER
) STRICT;
CREATE INDEX launch_of_run ON launch (run, id);

-- Activity attempts under way: a new worker fails those of dead owners by their token.
CREATE TABLE attempt (
  activity TEXT PRIMARY KEY,              -- workflow id / run id / activity id
  token TEXT NOT NULL,                    -- base64
  attempt INTEGER NOT NULL,
  pid INTEGER NOT NULL,
  process_start TEXT NOT NULL,
  at INTEGER NOT NULL
) STRICT;

-- Who has the device. The queue: runs whose state is "waiting", by priority, then by when they came.
CREATE TABLE device (
  name TEXT PRIMARY KEY,
  holder TEXT REFERENCES run (id),
  since INTEGER
) STRICT;
CREATE TABLE device_wait (
  device TEXT NOT NULL,
  run TEXT PRIMARY KEY REFERENCES run (id),
  priority INTEGER NOT NULL,
  since INTEGER NOT NULL,
  asked_at INTEGER NOT NULL               -- a run that has not asked for long does not block others
) STRICT;

-- What a person asked of a run: requested -> acknowledged -> delivered -> done | refused.
CREATE TABLE request (
  id TEXT PRIMARY KEY,
  run TEXT NOT NULL REFERENCES run (id),
  verb TEXT NOT NULL,                     -- pause | resume | stop | save | sample
  arguments TEXT NOT NULL DEFAULT '{}',   -- JSON: {after: step | epoch}
  requested_at INTEGER NOT NULL,
  acknowledged_at INTEGER,                -- the workflow took it
  delivered_at INTEGER,                   -- the trainer was told
  done_at INTEGER,
  refused TEXT                            -- why not
) STRICT;
CREATE INDEX request_of_run ON request (run, requested_at);

-- The processes of `tiller up`.
CREATE TABLE process (
  role TEXT PRIMARY KEY,                  -- supervisor | engine | worker | dashboard
  pid INTEGER NOT NULL,
  process_start TEXT NOT NULL,
  address TEXT,                           -- host:port where it listens
  state TEXT NOT NULL,                    -- starting | healthy | stopping
  restarts INTEGER NOT NULL DEFAULT 0,
  since INTEGER NOT NULL
) STRICT;
