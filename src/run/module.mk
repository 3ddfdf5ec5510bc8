# librun.a: loop, links, HTTP, write-ahead log, SQLite, Raft, children: effects
# A new module is one more line, in alphabetical order.

noinst_LIBRARIES += librun.a

librun_a_SOURCES =
librun_a_SOURCES += src/run/atomic_file.h
librun_a_SOURCES += src/run/data_dir.h
librun_a_SOURCES += src/run/link.h
librun_a_SOURCES += src/run/loop.h
librun_a_SOURCES += src/run/api_auth.c src/run/api_auth.h
librun_a_SOURCES += src/run/file_sink.c src/run/file_sink.h
librun_a_SOURCES += src/run/http_answer.c
librun_a_SOURCES += src/run/http_client.h
librun_a_SOURCES += src/run/http_conn.c src/run/http_conn.h
librun_a_SOURCES += src/run/http_dispatch.c
librun_a_SOURCES += src/run/http_file.c
librun_a_SOURCES += src/run/http_guard.c src/run/http_guard.h
librun_a_SOURCES += src/run/http_head.c
librun_a_SOURCES += src/run/http_internal.h
librun_a_SOURCES += src/run/http_listen.c src/run/http_listen.h
librun_a_SOURCES += src/run/http_request.c src/run/http_request.h
librun_a_SOURCES += src/run/http_router.c src/run/http_router.h
librun_a_SOURCES += src/run/http_server.c src/run/http_server.h
librun_a_SOURCES += src/run/http_status.c src/run/http_status.h
librun_a_SOURCES += src/run/http_sweep.c
librun_a_SOURCES += src/run/http_target.c src/run/http_target.h
librun_a_SOURCES += src/run/http_tls.c src/run/http_tls.h
librun_a_SOURCES += src/run/http_upload.c
librun_a_SOURCES += src/run/output_reader.h
librun_a_SOURCES += src/run/raft_io.h
librun_a_SOURCES += src/run/retention.h
librun_a_SOURCES += src/run/sd_notify.h
librun_a_SOURCES += src/run/spawn.h
librun_a_SOURCES += src/run/spawner.h
librun_a_SOURCES += src/run/state_db.c
librun_a_SOURCES += src/run/state_db.h
librun_a_SOURCES += src/run/state_query.c
librun_a_SOURCES += src/run/state_query.h
librun_a_SOURCES += src/run/state_store.c
librun_a_SOURCES += src/run/state_store.h
librun_a_SOURCES += src/run/task_dir.h
librun_a_SOURCES += src/run/task_run.h
librun_a_SOURCES += src/run/unpack.h
librun_a_SOURCES += src/run/vitals.h
librun_a_SOURCES += src/run/wal.h
librun_a_SOURCES += src/run/wal_meta.h
