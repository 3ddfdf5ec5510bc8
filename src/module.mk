# clusterd, the daemon: its main program, configuration and life.

bin_PROGRAMS += clusterd
clusterd_SOURCES =
clusterd_SOURCES += src/clusterd.c
clusterd_SOURCES += src/clusterd_cli.c
clusterd_SOURCES += src/clusterd_cli.h
clusterd_SOURCES += src/clusterd_report.c
clusterd_SOURCES += src/clusterd_report.h
clusterd_SOURCES += src/config.c
clusterd_SOURCES += src/config.h
clusterd_SOURCES += src/config_man.c
clusterd_SOURCES += src/config_print.c
clusterd_SOURCES += src/config_rows.h
clusterd_SOURCES += src/config_yaml.c
clusterd_SOURCES += src/daemon.c
clusterd_SOURCES += src/daemon.h
clusterd_SOURCES += src/dev.c
clusterd_SOURCES += src/dev.h
clusterd_LDADD = $(role_libs) $(YAML_LIBS)
