# librun.a: loop, links, HTTP, write-ahead log, SQLite, Raft, children: effects
# A new module is one more line, in alphabetical order.

noinst_LIBRARIES += librun.a

librun_a_SOURCES =
