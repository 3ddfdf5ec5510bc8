# Programs on a terminal: forkpty and libvterm, tests/lib/screen.h. Each is a cmocka program. Lines add one:
#
#   pty_tests += tests/pty/clustersh_pty
#   tests_pty_clustersh_pty_SOURCES = tests/pty/clustersh_pty.c $(screen_files)
#   tests_pty_clustersh_pty_LDADD = $(screen_libs)

pty_tests =

screen_files = tests/lib/screen.c tests/lib/screen.h
screen_libs = $(base_libs) $(GNUTLS_LIBS) $(JANSSON_LIBS) $(CMOCKA_LIBS) $(VTERM_LIBS) -lutil

pty_tests += tests/pty/chat_pty
tests_pty_chat_pty_SOURCES = tests/pty/chat_pty.c $(screen_files)
tests_pty_chat_pty_LDADD = $(screen_libs)
pty_tests += tests/pty/clustersh_pty
tests_pty_clustersh_pty_SOURCES = tests/pty/clustersh_pty.c $(screen_files) $(fake_cluster_files)
tests_pty_clustersh_pty_LDADD = $(screen_libs)
pty_tests += tests/pty/clustertop_pty
tests_pty_clustertop_pty_SOURCES = tests/pty/clustertop_pty.c $(screen_files) $(fake_top_files)
tests_pty_clustertop_pty_LDADD = $(screen_libs) $(ARCHIVE_LIBS) $(XXHASH_LIBS)

check_PROGRAMS += $(pty_tests)
