# clustersh, the console. Includes name their layer: "shell/command.h", "client/session.h".
# Once shell/clustersh.c exists:
#
#   bin_PROGRAMS += clustersh
#   clustersh_SOURCES =
#   clustersh_SOURCES += shell/clustersh.c
#   clustersh_LDADD = $(client_libs) $(READLINE_LIBS)
