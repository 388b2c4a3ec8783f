-- Jokes, the ledger of what was used, and this database's secret.

CREATE TABLE jokes (
    id              TEXT        NOT NULL PRIMARY KEY,
    user_id         TEXT        NOT NULL,
    setup           TEXT        NOT NULL,
    punchline       TEXT        NOT NULL,
    topic           TEXT        NOT NULL,
    style           TEXT        NOT NULL,             -- as in params, for lists
    params          JSONB       NOT NULL,
    model           TEXT        NOT NULL,
    provider        TEXT        NOT NULL,
    latency_ms      BIGINT      NOT NULL,
    input_tokens    BIGINT      NOT NULL,
    output_tokens   BIGINT      NOT NULL,
    cost_nanos      BIGINT      NOT NULL,             -- billionths of a US dollar
    sentiment       TEXT,                             -- "positive", "neutral" or "negative"; null when it is not known
    sentiment_score DOUBLE PRECISION,
    rating          BIGINT,                           -- 1 or -1
    rating_comment  TEXT,
    cached          BOOLEAN     NOT NULL,
    fallback        BOOLEAN     NOT NULL,
    trace_id        TEXT,                             -- of the trace in which it was made, if that was recorded
    created_at      TIMESTAMPTZ NOT NULL
);
CREATE INDEX jokes_of_user ON jokes (user_id, created_at, id);

-- What a subject has used, or reserved for calls under way, in a period: a day (2026-11-21) or a month (2026-11) in UTC.
CREATE TABLE ledger (
    subject    TEXT   NOT NULL,
    period     TEXT   NOT NULL,
    calls      BIGINT NOT NULL,
    tokens     BIGINT NOT NULL,
    cost_nanos BIGINT NOT NULL,
    PRIMARY KEY (subject, period)
);
CREATE INDEX ledger_by_age ON ledger (period);

-- Random keys of this database, made once.
CREATE TABLE secrets (
    name  TEXT  NOT NULL PRIMARY KEY,
    value BYTEA NOT NULL
);
