# clusterd, the daemon: its main program, configuration and life.
# Once src/clusterd.c exists:
#
#   bin_PROGRAMS += clusterd
#   clusterd_SOURCES =
#   clusterd_SOURCES += src/clusterd.c
#   clusterd_LDADD = $(role_libs) $(YAML_LIBS)
