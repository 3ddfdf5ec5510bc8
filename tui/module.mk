# clustertop, the full screen. Includes name their layer: "tui/model.h", "client/client.h".
# libtui.a is everything but main, for tests.

noinst_LIBRARIES += libtui.a

libtui_a_SOURCES = tui/feed.h
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
