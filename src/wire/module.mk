# libwire.a: the messages of the .proto files, framing, protocol version
# A new module is one more line, in alphabetical order; a new schema is one more line in wire_protos.
# A schema imports another as "wire/NAME.proto"; its generated header is "wire/NAME.pb-c.h".

noinst_LIBRARIES += libwire.a

libwire_a_SOURCES =
libwire_a_SOURCES += src/wire/cluster_rows.c src/wire/cluster_rows.h
libwire_a_SOURCES += src/wire/event_kind.c src/wire/event_kind.h
libwire_a_SOURCES += src/wire/event_state.c src/wire/event_state.h
libwire_a_SOURCES += src/wire/frame.c src/wire/frame.h
libwire_a_SOURCES += src/wire/http_target.c src/wire/http_target.h
libwire_a_SOURCES += src/wire/lake_path.c src/wire/lake_path.h
libwire_a_SOURCES += src/wire/message.c src/wire/message.h
libwire_a_SOURCES += src/wire/task_code.c src/wire/task_code.h
libwire_a_SOURCES += src/wire/task_key.c src/wire/task_key.h

wire_protos =
wire_protos += src/wire/chat.proto
wire_protos += src/wire/cluster.proto
wire_protos += src/wire/event.proto
wire_protos += src/wire/lake.proto
wire_protos += src/wire/raft.proto
wire_protos += src/wire/sql.proto
wire_protos += src/wire/state.proto
wire_protos += src/wire/txn.proto

nodist_libwire_a_SOURCES = $(wire_protos:.proto=.pb-c.c) $(wire_protos:.proto=.pb-c.h)
BUILT_SOURCES += $(nodist_libwire_a_SOURCES)
CLEANFILES += $(nodist_libwire_a_SOURCES)
EXTRA_DIST += $(wire_protos)

src/wire/%.pb-c.c src/wire/%.pb-c.h: src/wire/%.proto
	@$(MKDIR_P) src/wire
	$(AM_V_GEN)$(PROTOC_C) --proto_path=$(top_srcdir)/src --c_out=src wire/$*.proto
