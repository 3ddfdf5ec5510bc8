# libbase.a: memory, buffers, strings, lists, errors, time, log records
# A new module is one more line, in alphabetical order.

noinst_LIBRARIES += libbase.a

libbase_a_SOURCES =
