# libcore.a: election, failure detector, scheduler: pure, event in, update out
# A new module is one more line, in alphabetical order.

noinst_LIBRARIES += libcore.a

libcore_a_SOURCES =
libcore_a_SOURCES += src/core/delta_checkpoint.h
libcore_a_SOURCES += src/core/delta_commit.h
libcore_a_SOURCES += src/core/delta_log.h
libcore_a_SOURCES += src/core/delta_prune.h
libcore_a_SOURCES += src/core/delta_schema.h
libcore_a_SOURCES += src/core/delta_value.h
libcore_a_SOURCES += src/core/detector.c src/core/detector.h
libcore_a_SOURCES += src/core/health.c src/core/health.h
libcore_a_SOURCES += src/core/job.c src/core/job.h
libcore_a_SOURCES += src/core/order.h
libcore_a_SOURCES += src/core/order_entry.c src/core/order_entry.h
libcore_a_SOURCES += src/core/routing.c src/core/routing.h
libcore_a_SOURCES += src/core/sched_check.c
libcore_a_SOURCES += src/core/sched_dep.c
libcore_a_SOURCES += src/core/sched_element.c
libcore_a_SOURCES += src/core/sched_internal.h
libcore_a_SOURCES += src/core/sched_job.c
libcore_a_SOURCES += src/core/sched_node.c
libcore_a_SOURCES += src/core/sched_past.c
libcore_a_SOURCES += src/core/sched_place.c
libcore_a_SOURCES += src/core/sched_pool.c
libcore_a_SOURCES += src/core/sched_reason.c
libcore_a_SOURCES += src/core/sched_report.c
libcore_a_SOURCES += src/core/sched_restore.c
libcore_a_SOURCES += src/core/sched_set.c
libcore_a_SOURCES += src/core/scheduler.c src/core/scheduler.h
libcore_a_SOURCES += src/core/selector.c src/core/selector.h
libcore_a_SOURCES += src/core/sql_ast.h
libcore_a_SOURCES += src/core/sql_cursor.c src/core/sql_cursor.h
libcore_a_SOURCES += src/core/sql_plan.h
libcore_a_SOURCES += src/core/sql_text.c src/core/sql_text.h
libcore_a_SOURCES += src/core/txn.c src/core/txn.h
libcore_a_SOURCES += src/core/txn_body.c
libcore_a_SOURCES += src/core/txn_coordinator.c
libcore_a_SOURCES += src/core/txn_doubt.c
libcore_a_SOURCES += src/core/txn_internal.h
libcore_a_SOURCES += src/core/txn_key.c
libcore_a_SOURCES += src/core/txn_operator.c
libcore_a_SOURCES += src/core/txn_participant.c
libcore_a_SOURCES += src/core/txn_reconcile.c
libcore_a_SOURCES += src/core/txn_restore.c
libcore_a_SOURCES += src/core/txn_state.c
