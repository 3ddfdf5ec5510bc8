# libbase.a: memory, buffers, strings, lists, errors, time, log records
# A new module is one more line, in alphabetical order.

noinst_LIBRARIES += libbase.a

libbase_a_SOURCES =
libbase_a_SOURCES += src/base/base64.c src/base/base64.h
libbase_a_SOURCES += src/base/buf.c src/base/buf.h
libbase_a_SOURCES += src/base/clock.c src/base/clock.h
libbase_a_SOURCES += src/base/error.c src/base/error.h
libbase_a_SOURCES += src/base/failpoint.c src/base/failpoint.h
libbase_a_SOURCES += src/base/hash.h
libbase_a_SOURCES += src/base/heap.c src/base/heap.h
libbase_a_SOURCES += src/base/json_scan.c src/base/json_scan.h
libbase_a_SOURCES += src/base/json_text.c src/base/json_text.h
libbase_a_SOURCES += src/base/log.c src/base/log.h
libbase_a_SOURCES += src/base/lru.c src/base/lru.h
libbase_a_SOURCES += src/base/mdoc.c src/base/mdoc.h
libbase_a_SOURCES += src/base/mem.c src/base/mem.h
libbase_a_SOURCES += src/base/metric.c src/base/metric.h
libbase_a_SOURCES += src/base/metric_internal.h
libbase_a_SOURCES += src/base/metric_rows.h
libbase_a_SOURCES += src/base/metric_text.c
libbase_a_SOURCES += src/base/nodeset.c src/base/nodeset.h
libbase_a_SOURCES += src/base/nodeset_fold.c
libbase_a_SOURCES += src/base/prng.c src/base/prng.h
libbase_a_SOURCES += src/base/rangeset.c src/base/rangeset.h
libbase_a_SOURCES += src/base/sql_lex.c src/base/sql_lex.h
libbase_a_SOURCES += src/base/str.c src/base/str.h
libbase_a_SOURCES += src/base/trace.c src/base/trace.h
libbase_a_SOURCES += src/base/trace_otlp.c
libbase_a_SOURCES += src/base/uuid.c src/base/uuid.h
