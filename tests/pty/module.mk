# Programs on a terminal: forkpty and libvterm, tests/lib/screen.h. Each is a cmocka program. Lines add one:
#
#   pty_tests += tests/pty/clustersh_pty
#   tests_pty_clustersh_pty_SOURCES = tests/pty/clustersh_pty.c $(screen_files)
#   tests_pty_clustersh_pty_LDADD = $(screen_libs)

pty_tests =

screen_files = tests/lib/screen.c tests/lib/screen.h
shell_bed_files = tests/lib/shell_bed.c tests/lib/shell_bed.h $(screen_files) $(fake_cluster_files)
top_bed_files = tests/lib/top_bed.c tests/lib/top_bed.h $(screen_files) $(fake_top_files)
screen_libs = $(base_libs) $(GNUTLS_LIBS) $(JANSSON_LIBS) $(CMOCKA_LIBS) $(VTERM_LIBS) -lutil

pty_tests += tests/pty/chat_pty
tests_pty_chat_pty_SOURCES = tests/pty/chat_pty.c $(screen_files)
tests_pty_chat_pty_LDADD = $(screen_libs)
pty_tests += tests/pty/clustersh_pty
tests_pty_clustersh_pty_SOURCES = tests/pty/clustersh_pty.c $(screen_files) $(fake_cluster_files)
tests_pty_clustersh_pty_LDADD = $(screen_libs)
pty_tests += tests/pty/clustertop_live_pty
tests_pty_clustertop_live_pty_SOURCES = tests/pty/clustertop_live_pty.c $(top_bed_files)
tests_pty_clustertop_live_pty_LDADD = $(screen_libs) $(ARCHIVE_LIBS) $(XXHASH_LIBS)
pty_tests += tests/pty/clustertop_pty
tests_pty_clustertop_pty_SOURCES = tests/pty/clustertop_pty.c $(top_bed_files)
tests_pty_clustertop_pty_LDADD = $(screen_libs) $(ARCHIVE_LIBS) $(XXHASH_LIBS)
pty_tests += tests/pty/shell_edit_pty
tests_pty_shell_edit_pty_SOURCES = tests/pty/shell_edit_pty.c $(shell_bed_files)
tests_pty_shell_edit_pty_LDADD = $(screen_libs)
pty_tests += tests/pty/shell_script_pty
tests_pty_shell_script_pty_SOURCES = tests/pty/shell_script_pty.c $(shell_bed_files) $(report_file_files)
tests_pty_shell_script_pty_LDADD = $(screen_libs) $(ARCHIVE_LIBS) $(XXHASH_LIBS)

check_PROGRAMS += $(pty_tests)
