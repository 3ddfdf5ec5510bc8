# librole.a: coordinator, metadata, worker: where core and run meet
# A new module is one more line, in alphabetical order.

noinst_LIBRARIES += librole.a

librole_a_SOURCES =
librole_a_SOURCES += src/role/changes.c
librole_a_SOURCES += src/role/changes.h
librole_a_SOURCES += src/role/join.c
librole_a_SOURCES += src/role/join.h
librole_a_SOURCES += src/role/join_relay.c
librole_a_SOURCES += src/role/join_relay.h
librole_a_SOURCES += src/role/members.c
librole_a_SOURCES += src/role/members.h
librole_a_SOURCES += src/role/metadata.c
librole_a_SOURCES += src/role/metadata.h
librole_a_SOURCES += src/role/node.c
librole_a_SOURCES += src/role/node.h
librole_a_SOURCES += src/role/node_call.c
librole_a_SOURCES += src/role/node_forward.c
librole_a_SOURCES += src/role/node_internal.h
librole_a_SOURCES += src/role/raft_api.c
librole_a_SOURCES += src/role/raft_api.h
librole_a_SOURCES += src/role/role.h
librole_a_SOURCES += src/role/state.c
librole_a_SOURCES += src/role/state.h
