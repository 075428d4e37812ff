-- The state of one project: runs, calculations, nights, reviews, stages and the audit log.
-- Days, instants and ids are text in their usual form; reports are JSON text.

create table run (
    id                 text primary key,
    key                text not null unique,
    pipeline           text not null,
    period             text not null,
    as_of              text not null,
    environment        text not null,
    outcome            text not null,
    recorded_at        text not null,
    mapping_hash       text not null,
    legacy_hash        text not null,
    new_hash           text not null,
    checks_passed      integer not null,
    customers_total    integer not null,
    customers_compared integer not null,
    evidence           text not null,
    report             text not null
) strict;

create index run_by_night on run (environment, as_of, pipeline, period);
create index run_by_pipeline on run (pipeline, environment, as_of);

-- Attempts that another attempt of the same key took the place of.
create table superseded_run (
    sequence      integer primary key autoincrement,
    id            text not null,
    key           text not null,
    record        text not null,
    superseded_by text not null,
    superseded_at text not null
) strict;

-- Assessments that a newer assessment of the same figures took the place of.
create table superseded_assessment (
    sequence      integer primary key autoincrement,
    run           text not null references run (id),
    outcome       text not null,
    report        text not null,
    superseded_at text not null
) strict;

create table calculation (
    key      text primary key,
    pipeline text not null,
    side     text not null,
    path     text not null,
    rows     integer not null,
    hash     text not null
) strict;

create table night (
    key         text primary key,
    as_of       text not null,
    environment text not null,
    code        integer,
    started_at  text not null,
    finished_at text,
    result      text
) strict;

create index night_by_day on night (environment, as_of);

create table audit (
    sequence integer primary key,
    at       text not null,
    actor    text not null,
    action   text not null,
    subject  text not null,
    details  text not null,
    previous text not null,
    hash     text not null
) strict;

create table review (
    sequence    integer primary key autoincrement,
    audit       integer not null unique references audit (sequence),
    change      text not null,
    status      text not null,
    change_hash text not null,
    reviewer    text not null,
    reason      text not null,
    at          text not null,
    seen        text not null,
    expires     text
) strict;

create index review_by_change on review (change);

create table stage_event (
    sequence    integer primary key autoincrement,
    audit       integer not null unique references audit (sequence),
    pipeline    text not null,
    environment text not null,
    from_stage  text not null,
    to_stage    text not null,
    as_of       text not null,
    at          text not null,
    actor       text not null,
    reason      text not null,
    evidence    text not null
) strict;

create index stage_event_by_pipeline on stage_event (environment, pipeline);

create table pipeline_stage (
    environment text not null,
    pipeline    text not null,
    stage       text not null,
    primary key (environment, pipeline)
) strict;

-- What was decided stays as it was decided.
create trigger audit_is_not_changed before update on audit
begin select raise(abort, 'the audit log is append-only'); end;
create trigger audit_is_not_deleted before delete on audit
begin select raise(abort, 'the audit log is append-only'); end;
create trigger review_is_not_changed before update on review
begin select raise(abort, 'reviews are append-only'); end;
create trigger review_is_not_deleted before delete on review
begin select raise(abort, 'reviews are append-only'); end;
create trigger stage_event_is_not_changed before update on stage_event
begin select raise(abort, 'changes of stage are append-only'); end;
create trigger stage_event_is_not_deleted before delete on stage_event
begin select raise(abort, 'changes of stage are append-only'); end;
