-- What a run on a base stands on, pinned when it began: JSON {hash, vae_hash, files: [{path, size, mtime}], tokenizer}.
ALTER TABLE run ADD COLUMN base TEXT;
-- What else a prompt says: JSON {steps, guidance, picture, strength, mask, outpaint}, each only where it is said.
ALTER TABLE prompt ADD COLUMN extra TEXT;
