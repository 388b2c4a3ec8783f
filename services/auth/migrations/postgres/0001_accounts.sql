-- Accounts and everything that hangs on them. Secrets are stored as SHA-256 only, passwords as
-- PHC strings.

CREATE TABLE users (
    id            TEXT    NOT NULL PRIMARY KEY,
    email         TEXT    NOT NULL UNIQUE,
    display_name  TEXT    NOT NULL,
    password_hash TEXT    NOT NULL,
    roles         TEXT    NOT NULL,            -- sorted, separated by spaces
    is_admin      BOOLEAN NOT NULL,            -- whether roles holds "admin": what the last administrator is counted by
    disabled      BOOLEAN NOT NULL,
    revoked_at    BIGINT NOT NULL DEFAULT 0,  -- tokens issued at or before this second are bad
    created_at    TIMESTAMPTZ    NOT NULL
);
CREATE INDEX users_by_age ON users (created_at, id);
CREATE INDEX users_admins ON users (is_admin) WHERE is_admin;

CREATE TABLE sessions (
    id            TEXT NOT NULL PRIMARY KEY,
    user_id       TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    current_hash  BYTEA NOT NULL,               -- of the refresh token that is good
    previous_hash BYTEA,                        -- of its direct predecessor
    rotated_at    TIMESTAMPTZ,
    created_at    TIMESTAMPTZ NOT NULL,
    last_used_at  TIMESTAMPTZ NOT NULL,
    expires_at    TIMESTAMPTZ NOT NULL,
    address       TEXT NOT NULL,
    user_agent    TEXT NOT NULL
);
CREATE INDEX sessions_of_user ON sessions (user_id, created_at, id);
CREATE INDEX sessions_by_end ON sessions (expires_at);

CREATE TABLE api_keys (
    id           TEXT NOT NULL PRIMARY KEY,
    user_id      TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name         TEXT NOT NULL,
    secret_hash  BYTEA NOT NULL,
    scopes       TEXT NOT NULL,
    created_at   TIMESTAMPTZ NOT NULL,
    expires_at   TIMESTAMPTZ,
    last_used_at TIMESTAMPTZ
);
CREATE INDEX api_keys_of_user ON api_keys (user_id, created_at, id);

-- Addresses from which an account has signed in: guesses from elsewhere do not lock them out.
CREATE TABLE known_sources (
    user_id      TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    source       TEXT NOT NULL,
    last_seen_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (user_id, source)
);
CREATE INDEX known_sources_by_age ON known_sources (last_seen_at);

-- Sign-in attempts per account (by a keyed hash of its address, whether it exists or not), over all replicas.
CREATE TABLE login_attempts (
    account       BYTEA    NOT NULL PRIMARY KEY,
    window_began  TIMESTAMPTZ    NOT NULL,
    attempts      BIGINT NOT NULL,
    blocked_until TIMESTAMPTZ    NOT NULL,
    version       BIGINT NOT NULL
);
CREATE INDEX login_attempts_by_age ON login_attempts (window_began);

CREATE TABLE revocations (
    cursor     BIGINT NOT NULL PRIMARY KEY,
    session_id TEXT,
    user_id    TEXT,
    revoked_at BIGINT NOT NULL,
    expires_at TIMESTAMPTZ    NOT NULL,
    CHECK ((session_id IS NULL) <> (user_id IS NULL))
);
CREATE INDEX revocations_by_end ON revocations (expires_at);

-- Rows that writers lock so that they come one after the other: `revocations` hands out cursors in the order of commits,
-- `admins` keeps two administrators from removing each other.
CREATE TABLE turns (
    name  TEXT    NOT NULL PRIMARY KEY,
    value BIGINT NOT NULL
);
INSERT INTO turns (name, value) VALUES ('revocations', 0), ('admins', 0);

CREATE TABLE audit_log (
    id         TEXT NOT NULL PRIMARY KEY,
    at         TIMESTAMPTZ NOT NULL,
    action     TEXT NOT NULL,
    outcome    TEXT NOT NULL,
    actor      TEXT NOT NULL,
    subject    TEXT NOT NULL,
    address    TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    trace_id   TEXT NOT NULL,
    detail     TEXT NOT NULL
);
CREATE INDEX audit_log_by_age ON audit_log (at);

-- Random keys of this database, made once: page tokens, the marks of refresh tokens, the hash of addresses above.
CREATE TABLE secrets (
    name  TEXT NOT NULL PRIMARY KEY,
    value BYTEA NOT NULL
);
