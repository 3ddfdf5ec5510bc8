# clustersh, the console. Includes name their layer: "shell/command.h", "client/client.h".
# libshell.a is everything but main, for tests. A command is one more cmd_ file and a line in command_table.c.

noinst_LIBRARIES += libshell.a

libshell_a_SOURCES =
libshell_a_SOURCES += shell/cmd_exec.c
libshell_a_SOURCES += shell/cmd_file.c
libshell_a_SOURCES += shell/cmd_help.c
libshell_a_SOURCES += shell/cmd_job.c
libshell_a_SOURCES += shell/cmd_job_logs.c
libshell_a_SOURCES += shell/cmd_job_results.c
libshell_a_SOURCES += shell/cmd_job_submit.c
libshell_a_SOURCES += shell/cmd_job_wait.c
libshell_a_SOURCES += shell/cmd_kv.c
libshell_a_SOURCES += shell/cmd_meta.c
libshell_a_SOURCES += shell/cmd_node.c
libshell_a_SOURCES += shell/cmd_raft.c
libshell_a_SOURCES += shell/cmd_status.c
libshell_a_SOURCES += shell/cmd_watch.c
libshell_a_SOURCES += shell/column.c shell/column.h
libshell_a_SOURCES += shell/command.c shell/command.h
libshell_a_SOURCES += shell/command_docs.c
libshell_a_SOURCES += shell/command_help.c shell/command_help.h
libshell_a_SOURCES += shell/command_parse.c
libshell_a_SOURCES += shell/command_table.c
libshell_a_SOURCES += shell/complete.c shell/complete.h
libshell_a_SOURCES += shell/complete_values.c shell/complete_values.h
libshell_a_SOURCES += shell/follow.c shell/follow.h
libshell_a_SOURCES += shell/format.c shell/format.h
libshell_a_SOURCES += shell/gather.c shell/gather.h
libshell_a_SOURCES += shell/hist.c shell/hist.h
libshell_a_SOURCES += shell/interrupt.c shell/interrupt.h
libshell_a_SOURCES += shell/jobs.c shell/jobs.h
libshell_a_SOURCES += shell/live.c shell/live.h
libshell_a_SOURCES += shell/nodes.c shell/nodes.h
libshell_a_SOURCES += shell/output.c shell/output.h
libshell_a_SOURCES += shell/program.c shell/program.h
libshell_a_SOURCES += shell/prompt.c shell/prompt.h
libshell_a_SOURCES += shell/render.c shell/render.h
libshell_a_SOURCES += shell/render_table.c
libshell_a_SOURCES += shell/repl.c shell/repl.h
libshell_a_SOURCES += shell/repl_complete.c shell/repl_complete.h
libshell_a_SOURCES += shell/request.c shell/request.h
libshell_a_SOURCES += shell/shell.c shell/shell.h
libshell_a_SOURCES += shell/statement.c shell/statement.h
libshell_a_SOURCES += shell/submit.c shell/submit.h
libshell_a_SOURCES += shell/text.c shell/text.h
libshell_a_SOURCES += shell/upload.c shell/upload.h
libshell_a_SOURCES += shell/words.c shell/words.h
libshell_a_SOURCES += shell/commands.h

bin_PROGRAMS += clustersh
clustersh_SOURCES = shell/clustersh.c
clustersh_LDADD = $(shell_libs)
