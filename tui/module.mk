# clustertop, the full screen. Includes name their layer: "tui/model.h", "client/client.h".
# libtui.a is everything but main, for tests.

noinst_LIBRARIES += libtui.a

libtui_a_SOURCES =
libtui_a_SOURCES += tui/act.c tui/act.h
libtui_a_SOURCES += tui/act_cluster.c
libtui_a_SOURCES += tui/app.c tui/app.h
libtui_a_SOURCES += tui/app_draw.c
libtui_a_SOURCES += tui/app_edit.c
libtui_a_SOURCES += tui/draw.c tui/draw.h
libtui_a_SOURCES += tui/edit.c tui/edit.h
libtui_a_SOURCES += tui/feed.h
libtui_a_SOURCES += tui/filter.c tui/filter.h
libtui_a_SOURCES += tui/grid.c tui/grid.h
libtui_a_SOURCES += tui/keys.c tui/keys.h
libtui_a_SOURCES += tui/list.c tui/list.h
libtui_a_SOURCES += tui/log_view.c tui/log_view.h
libtui_a_SOURCES += tui/model.c tui/model.h
libtui_a_SOURCES += tui/model_filter.c tui/model_filter.h
libtui_a_SOURCES += tui/model_internal.h
libtui_a_SOURCES += tui/model_lines.c tui/model_lines.h
libtui_a_SOURCES += tui/model_past.c
libtui_a_SOURCES += tui/model_read.c
libtui_a_SOURCES += tui/model_row.c tui/model_row.h
libtui_a_SOURCES += tui/model_source.c tui/model_source.h
libtui_a_SOURCES += tui/model_state.c tui/model_state.h
libtui_a_SOURCES += tui/model_text.c tui/model_text.h
libtui_a_SOURCES += tui/model_vitals.c tui/model_vitals.h
libtui_a_SOURCES += tui/once.c tui/once.h
libtui_a_SOURCES += tui/options.c tui/options.h
libtui_a_SOURCES += tui/overview.h
libtui_a_SOURCES += tui/overview_problems.c
libtui_a_SOURCES += tui/place.c
libtui_a_SOURCES += tui/term.c tui/term.h
libtui_a_SOURCES += tui/term_input.c
libtui_a_SOURCES += tui/term_internal.h
libtui_a_SOURCES += tui/term_signal.c
libtui_a_SOURCES += tui/theme.c tui/theme.h
libtui_a_SOURCES += tui/timeline.c tui/timeline.h
libtui_a_SOURCES += tui/track.c tui/track.h
libtui_a_SOURCES += tui/view.h
libtui_a_SOURCES += tui/view_elections.c
libtui_a_SOURCES += tui/view_jobs.c
libtui_a_SOURCES += tui/view_logs.c
libtui_a_SOURCES += tui/view_nodes.c
libtui_a_SOURCES += tui/view_overview.c
libtui_a_SOURCES += tui/view_queries.c
libtui_a_SOURCES += tui/view_rollouts.c
libtui_a_SOURCES += tui/view_rows.c tui/view_rows.h

#bin_PROGRAMS += clustertop
#clustertop_SOURCES = tui/clustertop.c
#clustertop_LDADD = $(tui_libs)
