# librole.a: coordinator, metadata, worker: where core and run meet
# A new module is one more line, in alphabetical order.

noinst_LIBRARIES += librole.a

librole_a_SOURCES =
librole_a_SOURCES += src/role/api_json.c
librole_a_SOURCES += src/role/api_json.h
librole_a_SOURCES += src/role/changes.c
librole_a_SOURCES += src/role/changes.h
librole_a_SOURCES += src/role/coordinator.c
librole_a_SOURCES += src/role/coordinator.h
librole_a_SOURCES += src/role/coordinator_agents.c
librole_a_SOURCES += src/role/coordinator_internal.h
librole_a_SOURCES += src/role/coordinator_jobs.c
librole_a_SOURCES += src/role/coordinator_nodes.c
librole_a_SOURCES += src/role/coordinator_nodes_api.c
librole_a_SOURCES += src/role/coordinator_restore.c
librole_a_SOURCES += src/role/coordinator_submit.c
librole_a_SOURCES += src/role/exec_direct.h
librole_a_SOURCES += src/role/gateway.h
librole_a_SOURCES += src/role/heartbeat.h
librole_a_SOURCES += src/role/files_index.c
librole_a_SOURCES += src/role/files_index.h
librole_a_SOURCES += src/role/job_spec.c
librole_a_SOURCES += src/role/job_spec.h
librole_a_SOURCES += src/role/join.c
librole_a_SOURCES += src/role/join.h
librole_a_SOURCES += src/role/join_relay.c
librole_a_SOURCES += src/role/join_relay.h
librole_a_SOURCES += src/role/kv_api.c
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
librole_a_SOURCES += src/role/worker.h
librole_a_SOURCES += src/role/status_api.c
librole_a_SOURCES += src/role/status_api.h
