# libcore.a: election, failure detector, scheduler: pure, event in, update out
# A new module is one more line, in alphabetical order.

noinst_LIBRARIES += libcore.a

libcore_a_SOURCES =
