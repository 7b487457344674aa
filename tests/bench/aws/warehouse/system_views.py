"""The system views by which a user looks up their queries and what these unloaded (docs/aws-behaviour.md#unload).

In a schema at the end of the search path, with the rows of the one database. A user sees their own rows, a superuser all.
"""

SCHEMA = "redshift_system"

_MINE = "(user_name = session_user or (select usesuper from pg_user where usename = session_user))"
_USER = "(select usesysid::int from pg_user where usename = user_name)"

SYSTEM_VIEWS = (
    f"create schema {SCHEMA}",
    f"grant usage on schema {SCHEMA} to public",
    f"""create table {SCHEMA}.queries (query_id bigint primary key, user_name text, session_id int, query_uuid text,
        query_type text, status text, start_time timestamp, end_time timestamp, error_message text, returned_rows bigint,
        query_text text)""",
    f"""create table {SCHEMA}.unloads (query_id bigint primary key, user_name text, session_id int, status text,
        start_time timestamp, end_time timestamp, file_format text, compression_type text, unloaded_location text,
        error_message text)""",
    f"""create table {SCHEMA}.files (query_id bigint, user_name text, slice int, session_id int, file_name text,
        start_time timestamp, end_time timestamp, line_count bigint, transfer_size bigint, file_format text)""",
    f"""create view {SCHEMA}.sys_query_history as select {_USER} as user_id, query_id, query_uuid, session_id,
        current_database()::varchar as database_name, query_type, status, start_time, end_time,
        (extract(epoch from coalesce(end_time, start_time) - start_time) * 1000000)::bigint as elapsed_time,
        coalesce(error_message, '') as error_message, returned_rows, query_text
        from {SCHEMA}.queries where {_MINE}""",
    f"""create view {SCHEMA}.sys_unload_history as select {_USER} as user_id, query_id, session_id,
        current_database()::varchar as database_name, status, start_time, end_time,
        (extract(epoch from coalesce(end_time, start_time) - start_time) * 1000000)::bigint as duration,
        file_format, compression_type, unloaded_location,
        (select coalesce(sum(line_count), 0) from {SCHEMA}.files f where f.query_id = u.query_id)::bigint as unloaded_rows,
        (select count(*) from {SCHEMA}.files f where f.query_id = u.query_id) as unloaded_files_count,
        (select coalesce(sum(transfer_size), 0) from {SCHEMA}.files f where f.query_id = u.query_id)::bigint
            as unloaded_files_size,
        coalesce(error_message, '') as error_message
        from {SCHEMA}.unloads u where {_MINE}""",
    f"""create view {SCHEMA}.sys_unload_detail as select {_USER} as user_id, query_id, file_name, transfer_size, file_format
        from {SCHEMA}.files where {_MINE}""",
    f"""create view {SCHEMA}.stl_unload_log as select {_USER} as userid, query_id as query, slice, session_id as pid,
        file_name::char(1280) as path, start_time, end_time, line_count, transfer_size, file_format
        from {SCHEMA}.files where {_MINE}""",
    *(
        f"grant select on {SCHEMA}.{view} to public"
        for view in ("sys_query_history", "sys_unload_history", "sys_unload_detail", "stl_unload_log")
    ),
    f"""create function {SCHEMA}.pg_last_unload_count() returns bigint language sql stable as
        $$ select coalesce(nullif(current_setting('redshift.last_unload_count', true), ''), '0')::bigint $$""",
)

EMPTY = (f"truncate {SCHEMA}.queries, {SCHEMA}.unloads, {SCHEMA}.files",)
