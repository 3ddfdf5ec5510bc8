# librun.a: loop, links, HTTP, write-ahead log, SQLite, Raft, children: effects
# A new module is one more line, in alphabetical order.

noinst_LIBRARIES += librun.a

librun_a_SOURCES =
librun_a_SOURCES += src/run/atomic_file.h
librun_a_SOURCES += src/run/data_dir.h
librun_a_SOURCES += src/run/link.h
librun_a_SOURCES += src/run/loop.h
librun_a_SOURCES += src/run/output_reader.h
librun_a_SOURCES += src/run/raft_io.h
librun_a_SOURCES += src/run/retention.h
librun_a_SOURCES += src/run/sd_notify.h
librun_a_SOURCES += src/run/spawn.h
librun_a_SOURCES += src/run/spawner.h
librun_a_SOURCES += src/run/state_db.c
librun_a_SOURCES += src/run/state_db.h
librun_a_SOURCES += src/run/state_store.c
librun_a_SOURCES += src/run/state_store.h
librun_a_SOURCES += src/run/task_dir.h
librun_a_SOURCES += src/run/task_run.h
librun_a_SOURCES += src/run/unpack.h
librun_a_SOURCES += src/run/vitals.h
librun_a_SOURCES += src/run/wal.h
librun_a_SOURCES += src/run/wal_meta.h
