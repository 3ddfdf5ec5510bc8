# libclient.a: a cluster as a console sees it
# A new module is one more line, in alphabetical order.

noinst_LIBRARIES += libclient.a

libclient_a_SOURCES =
libclient_a_SOURCES += src/client/client.c src/client/client.h
libclient_a_SOURCES += src/client/client_call.c src/client/client_internal.h
libclient_a_SOURCES += src/client/client_endpoint.c src/client/client_endpoint.h
libclient_a_SOURCES += src/client/client_path.c src/client/client_path.h
libclient_a_SOURCES += src/client/client_token.c src/client/client_token.h
