# libclient.a: a cluster as a console sees it
# A new module is one more line, in alphabetical order.

noinst_LIBRARIES += libclient.a

libclient_a_SOURCES =
libclient_a_SOURCES += src/client/archive_library.c src/client/archive_library.h
libclient_a_SOURCES += src/client/client.c src/client/client.h
libclient_a_SOURCES += src/client/client_call.c src/client/client_internal.h
libclient_a_SOURCES += src/client/client_curl.c
libclient_a_SOURCES += src/client/client_endpoint.c src/client/client_endpoint.h
libclient_a_SOURCES += src/client/client_executor.c src/client/client_executor.h
libclient_a_SOURCES += src/client/client_http.c src/client/client_http.h
libclient_a_SOURCES += src/client/client_http_answer.c
libclient_a_SOURCES += src/client/client_nodes.c src/client/client_nodes.h
libclient_a_SOURCES += src/client/client_path.c src/client/client_path.h
libclient_a_SOURCES += src/client/client_replay.c src/client/client_replay.h
libclient_a_SOURCES += src/client/client_replay_api.c src/client/client_replay_answer.h
libclient_a_SOURCES += src/client/client_replay_jobs.c src/client/client_replay_internal.h
libclient_a_SOURCES += src/client/client_replay_lake.c src/client/client_replay_lake.h
libclient_a_SOURCES += src/client/client_replay_sql.c
libclient_a_SOURCES += src/client/client_replay_statement.c src/client/client_replay_statement.h
libclient_a_SOURCES += src/client/client_replay_stream.c
libclient_a_SOURCES += src/client/client_replay_table.c
libclient_a_SOURCES += src/client/client_rows.c src/client/client_rows.h
libclient_a_SOURCES += src/client/client_token.c src/client/client_token.h
libclient_a_SOURCES += src/client/client_vitals.c src/client/client_vitals.h
libclient_a_SOURCES += src/client/curl_library.c src/client/curl_library.h
libclient_a_SOURCES += src/client/replay_archive.c src/client/replay_archive.h
