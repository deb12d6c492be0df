-- One row for each object under bundles/. What doesn't count has no words of its own here: nothing that it claims is shown.
CREATE TABLE IF NOT EXISTS statement (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    subject TEXT NOT NULL,
    slug TEXT NOT NULL,
    digest TEXT NOT NULL,
    refused TEXT NOT NULL,       -- why it doesn't count by itself: signature, signer, role; empty if it does
    code TEXT NOT NULL,          -- the same with revocations and the log
    current INTEGER NOT NULL,    -- whether it is the newest that counts of its series
    dag_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    task_id TEXT NOT NULL,
    map_index INTEGER NOT NULL,
    what TEXT NOT NULL,
    verdict TEXT NOT NULL,
    tone TEXT NOT NULL,
    summary TEXT NOT NULL,
    at REAL NOT NULL,
    series TEXT NOT NULL,
    signer TEXT NOT NULL,
    signed_with TEXT NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    findings INTEGER NOT NULL,
    more TEXT NOT NULL           -- JSON: what lists of one predicate need besides
);
CREATE INDEX IF NOT EXISTS statement_subject ON statement (subject);
CREATE INDEX IF NOT EXISTS statement_digest ON statement (digest);
CREATE INDEX IF NOT EXISTS statement_signed_with ON statement (signed_with);
CREATE INDEX IF NOT EXISTS statement_run ON statement (dag_id, run_id);
CREATE INDEX IF NOT EXISTS statement_slug ON statement (slug, at);
CREATE INDEX IF NOT EXISTS statement_code ON statement (code) WHERE code <> '';

CREATE TABLE IF NOT EXISTS finding (
    statement INTEGER NOT NULL,
    place INTEGER NOT NULL,
    open INTEGER NOT NULL,       -- whether its statement counts and is current
    rank INTEGER NOT NULL,       -- 2 critical, 1 warning, 0 everything else
    at REAL NOT NULL,
    dag_id TEXT NOT NULL,
    rule TEXT NOT NULL,
    severity TEXT NOT NULL,
    message TEXT NOT NULL,
    seen_at TEXT NOT NULL,
    techniques TEXT NOT NULL,    -- JSON list
    PRIMARY KEY (statement, place)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS finding_open ON finding (rank DESC, at DESC) WHERE open;

-- What provenance that counts says was made from what.
CREATE TABLE IF NOT EXISTS edge (
    source TEXT NOT NULL,
    made TEXT NOT NULL,
    statement INTEGER NOT NULL,
    PRIMARY KEY (source, made, statement)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS edge_statement ON edge (statement);

-- One row for each artifact and Dag that said something about it: who may read the Dag sees the row.
CREATE TABLE IF NOT EXISTS presence (
    subject TEXT NOT NULL,
    dag_id TEXT NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    statements INTEGER NOT NULL,
    refused INTEGER NOT NULL,
    newest REAL NOT NULL,
    bad INTEGER NOT NULL,        -- current statements by tone
    warn INTEGER NOT NULL,
    critical INTEGER NOT NULL,   -- open findings by severity
    warning INTEGER NOT NULL,
    info INTEGER NOT NULL,
    gate TEXT NOT NULL,          -- yes, no or nothing: what the newest release gate said
    gate_at REAL NOT NULL,
    PRIMARY KEY (subject, dag_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS presence_dag ON presence (dag_id);

-- Verdicts of controls by day, for the plots.
CREATE TABLE IF NOT EXISTS daily (
    day INTEGER NOT NULL,        -- days since 1970
    dag_id TEXT NOT NULL,
    verdict TEXT NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (day, dag_id, verdict)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- What is still to be done; a process that ends half-way leaves it to the next one.
CREATE TABLE IF NOT EXISTS pending (key TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS dirty (subject TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS dirty_day (day INTEGER PRIMARY KEY);
