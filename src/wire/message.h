/* The messages that travel as frames: type numbers, names, and how they become bytes.
 *
 * A new message is one row here. Numbers are never reused. An unknown type is an error of the
 * protocol; unknown fields of a known type are skipped, so that versions can differ.
 */
#ifndef WIRE_MESSAGE_H
#define WIRE_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "wire/chat.pb-c.h"
#include "wire/cluster.pb-c.h"
#include "wire/event.pb-c.h"
#include "wire/lake.pb-c.h"
#include "wire/raft.pb-c.h"
#include "wire/sql.pb-c.h"
#include "wire/txn.pb-c.h"

/* The first that speaks this protocol; nodes link only to nodes of the same number. */
enum { WIRE_PROTOCOL = 1 };

/* Descriptor of the socket in a process `clusterd executor`, which speaks sql.proto on it. */
enum { WIRE_EXECUTOR_FD = 3 };

/* X(symbol, number, name); `name` is that of the protobuf-c functions. */
#define WIRE_MESSAGE_LIST(X)                                                                       \
    X(WIRE_HELLO, 1, hello)                                                                        \
    X(WIRE_PING, 2, ping)                                                                          \
    X(WIRE_PONG, 3, pong)                                                                          \
    X(WIRE_GOODBYE, 4, goodbye)                                                                    \
    X(WIRE_PROOF, 5, proof)                                                                        \
    X(WIRE_JOIN_REQUEST, 10, join_request)                                                         \
    X(WIRE_JOIN_REPLY, 11, join_reply)                                                             \
    X(WIRE_MEMBERS, 12, members)                                                                   \
    X(WIRE_LEAVE, 13, leave)                                                                       \
    X(WIRE_READ_CONFIRM, 15, read_confirm)                                                         \
    X(WIRE_READ_CONFIRM_REPLY, 16, read_confirm_reply)                                             \
    X(WIRE_API_REQUEST, 20, api_request)                                                           \
    X(WIRE_API_REPLY, 21, api_reply)                                                               \
    X(WIRE_API_CANCEL, 22, api_cancel)                                                             \
    X(WIRE_HEARTBEAT, 30, heartbeat)                                                               \
    X(WIRE_HEARTBEAT_ACK, 31, heartbeat_ack)                                                       \
    X(WIRE_ASSIGN_TASK, 32, assign_task)                                                           \
    X(WIRE_CANCEL_TASK, 33, cancel_task)                                                           \
    X(WIRE_TASK_UPDATE, 34, task_update)                                                           \
    X(WIRE_TASK_ACK, 35, task_ack)                                                                 \
    X(WIRE_GET_TASK_STATUS, 36, get_task_status)                                                   \
    X(WIRE_TASK_STATUS, 37, task_status)                                                           \
    X(WIRE_OUTPUT_READ, 40, output_read)                                                           \
    X(WIRE_OUTPUT_CHUNK, 41, output_chunk)                                                         \
    X(WIRE_OUTPUT_CANCEL, 42, output_cancel)                                                       \
    X(WIRE_EXEC_START, 45, exec_start)                                                             \
    X(WIRE_EXEC_UPDATE, 46, exec_update)                                                           \
    X(WIRE_EXEC_CREDIT, 47, exec_credit)                                                           \
    X(WIRE_EXEC_CANCEL, 48, exec_cancel)                                                           \
    X(WIRE_FILE_READ, 50, file_read)                                                               \
    X(WIRE_FILE_CHUNK, 51, file_chunk)                                                             \
    X(WIRE_FILE_COPY, 52, file_copy)                                                               \
    X(WIRE_FILE_COPIED, 53, file_copied)                                                           \
    X(WIRE_RAFT_MESSAGE, 60, raft_message)                                                         \
    X(WIRE_CHAT_MESSAGE, 70, chat_message)                                                         \
    X(WIRE_PREPARE_REQ, 80, prepare_req)                                                           \
    X(WIRE_VOTE, 81, vote)                                                                         \
    X(WIRE_DECISION, 82, decision)                                                                 \
    X(WIRE_DECISION_ACK, 83, decision_ack)                                                         \
    X(WIRE_INQUIRY, 84, inquiry)                                                                   \
    X(WIRE_INQUIRY_REPLY, 85, inquiry_reply)                                                       \
    X(WIRE_ROUTING_HEARTBEAT, 86, routing_heartbeat)                                               \
    X(WIRE_ROUTING_FETCH, 87, routing_fetch)                                                       \
    X(WIRE_ROUTING_ITEMS, 88, routing_items)                                                       \
    X(WIRE_HEALTH_SNAPSHOT, 89, health_snapshot)                                                   \
    X(WIRE_SQL_RUN_TASK, 90, sql_run_task)                                                         \
    X(WIRE_SQL_TASK_UPDATE, 91, sql_task_update)                                                   \
    X(WIRE_SQL_CREDIT, 92, sql_credit)                                                             \
    X(WIRE_SQL_CANCEL_TASK, 93, sql_cancel_task)                                                   \
    X(WIRE_SQL_SETUP, 94, sql_setup)                                                               \
    X(WIRE_SQL_READY, 95, sql_ready)                                                               \
    X(WIRE_CATALOG_REQUEST, 100, catalog_request)                                                  \
    X(WIRE_CATALOG_REPLY, 101, catalog_reply)                                                      \
    X(WIRE_EVENT_BATCH, 110, event_batch)                                                          \
    X(WIRE_EVENT_ACK, 111, event_ack)                                                              \
    X(WIRE_EVENT_READ, 112, event_read)                                                            \
    X(WIRE_EVENT_CHUNK, 113, event_chunk)                                                          \
    X(WIRE_EVENT_CREDIT, 114, event_credit)                                                        \
    X(WIRE_EVENT_READ_CANCEL, 115, event_read_cancel)                                              \
    X(WIRE_EVENT_MIRROR, 116, event_mirror)                                                        \
    X(WIRE_EVENT_MIRROR_ACK, 117, event_mirror_ack)                                                \
    X(WIRE_EVENT_VITALS, 118, event_vitals)

enum wire_type {
#define WIRE_MESSAGE_ENUM(symbol, number, name) symbol = (number),
    WIRE_MESSAGE_LIST(WIRE_MESSAGE_ENUM)
#undef WIRE_MESSAGE_ENUM
};

enum { WIRE_TYPE_LIMIT = 128 }; /* every type is below: tables of handlers have this length */

/* NULL for a number that is no type. */
const ProtobufCMessageDescriptor *wire_descriptor(unsigned type);
/* "assign_task"; "unknown" for a number that is no type. */
const char *wire_type_name(unsigned type);

/* Appends a frame with `message`, whose descriptor must be that of `type`. ERR_TOO_LARGE leaves the
 * buffer as it was: the buffer's limit, or a body over FRAME_BODY_BYTES_MAX. */
int wire_pack(struct buf *b, enum wire_type type, const ProtobufCMessage *message);
/* A frame in parts: what is small is copied, long texts and bytes stay where the message has them,
 * so that packing takes no longer for megabytes of them. The message must stay until all parts have
 * been written, one after the other. */
struct wire_part {
    const uint8_t *data;
    size_t len;
};

struct wire_parts {
    struct buf copied; /* the parts that are copies point into it */
    struct wire_part *parts;
    size_t n, cap;
    size_t bytes; /* of the frame */
};

enum { WIRE_PART_BYTES = 64 * 1024 }; /* from here on a text is a part of its own */

/* As wire_pack(). Free with wire_parts_done(), also after an error. */
int wire_pack_parts(struct wire_parts *out, enum wire_type type, const ProtobufCMessage *message);
void wire_parts_done(struct wire_parts *parts);

/* Bytes that wire_pack() would append. */
size_t wire_packed_size(const ProtobufCMessage *message);

/* Decodes a body into *out, to be freed with wire_free(). ERR_PROTOCOL: unknown type, truncated or
 * malformed body; ERR_TOO_LARGE: it would take more than 64 KiB + 32 times its length of memory. */
int wire_unpack(unsigned type, const void *data, size_t len, ProtobufCMessage **out);
void wire_free(ProtobufCMessage *message); /* NULL allowed */

#endif
