-- Ratings go on to where answers are observed: when each is to be told next, null when there is nothing to tell.

ALTER TABLE jokes ADD COLUMN rated_at TEXT;
ALTER TABLE jokes ADD COLUMN score_due_at TEXT;
CREATE INDEX jokes_to_score ON jokes (score_due_at) WHERE score_due_at IS NOT NULL;
