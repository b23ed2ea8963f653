-- What a trainer does at the moment, null once its launch has ended.
ALTER TABLE launch ADD COLUMN preview TEXT;   -- JSON {step, epoch, prompt, sampling_step, sampling_steps, picture}: the sample in the making; picture: a file's name in the run's samples folder, or null
ALTER TABLE launch ADD COLUMN progress TEXT;  -- JSON {phase, done, total}: long work that isn't a step
-- What it planned to hold in memory: stays.
ALTER TABLE launch ADD COLUMN memory TEXT;    -- JSON {total_bytes, available_bytes, parts: [{name, bytes}]}
