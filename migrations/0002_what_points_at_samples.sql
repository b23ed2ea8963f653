-- Deleting a run looks for whatever points at its samples and pictures.
CREATE INDEX sample_of_artifact ON sample (artifact);
CREATE INDEX vote_left ON vote (left_sample);
CREATE INDEX vote_right ON vote (right_sample);
CREATE INDEX vote_undone ON vote (undoes);
