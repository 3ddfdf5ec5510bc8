# libcore.a: election, failure detector, scheduler: pure, event in, update out
# A new module is one more line, in alphabetical order.

noinst_LIBRARIES += libcore.a

libcore_a_SOURCES =
libcore_a_SOURCES += src/core/detector.c src/core/detector.h
libcore_a_SOURCES += src/core/job.c src/core/job.h
libcore_a_SOURCES += src/core/scheduler.h
libcore_a_SOURCES += src/core/selector.c src/core/selector.h
