-- Prompts come and go while a run goes on: a changed one is a new one, and an old one keeps its pictures.
ALTER TABLE prompt ADD COLUMN seed INTEGER NOT NULL DEFAULT 7;
ALTER TABLE prompt ADD COLUMN width INTEGER;                        -- pixels; null: those of the data set
ALTER TABLE prompt ADD COLUMN height INTEGER;
ALTER TABLE prompt ADD COLUMN created_at INTEGER NOT NULL DEFAULT 0; -- ms since 1970; 0: with the run
ALTER TABLE prompt ADD COLUMN dropped_at INTEGER;                   -- ms; no longer sampled from then on
-- Samples that someone wants of an epoch that is evaluated: JSON, a list of positions of prompts.
ALTER TABLE epoch ADD COLUMN wanted TEXT;
UPDATE prompt SET
  seed = coalesce((SELECT json_extract(recipe, '$.samples.prompts[' || position || '].seed') FROM run WHERE id = prompt.run), 7),
  width = (SELECT json_extract(recipe, '$.samples.prompts[' || position || '].width') FROM run WHERE id = prompt.run),
  height = (SELECT json_extract(recipe, '$.samples.prompts[' || position || '].height') FROM run WHERE id = prompt.run);
