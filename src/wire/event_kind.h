/* The kinds of events: what nodes tell about themselves and the cluster. docs/events.md prints this
 * table; a new kind is one row. A kind whose table is not "" carries a patch of a row of it. */
#ifndef WIRE_EVENT_KIND_H
#define WIRE_EVENT_KIND_H

#include "base/buf.h"
#include "base/error.h"
#include "base/log.h"

/* X(symbol, name, level, table, help) */
#define EVENT_KIND_LIST(X)                                                                         \
    X(EVENT_NODE_JOIN, "node.join", INFO, "nodes", "a node is a member from now on")               \
    X(EVENT_NODE_LEAVE, "node.leave", INFO, "nodes", "a node said goodbye")                        \
    X(EVENT_NODE_REMOVE, "node.remove", WARN, "nodes", "a node is no member any more")             \
    X(EVENT_NODE_CHANGE, "node.change", INFO, "nodes", "what a node is or offers has changed")     \
    X(EVENT_NODE_ONLINE, "node.online", INFO, "nodes", "a node is heard")                          \
    X(EVENT_NODE_LATE, "node.late", DEBUG, "", "a heartbeat came late")                            \
    X(EVENT_NODE_SUSPECT, "node.suspect", WARN, "nodes", "heartbeats of a node are missing")       \
    X(EVENT_NODE_OFFLINE, "node.offline", ERROR, "nodes", "a node is silent for too long")         \
    X(EVENT_NODE_DRAIN, "node.drain", WARN, "nodes", "a node gets no new work")                    \
    X(EVENT_NODE_RESUME, "node.resume", INFO, "nodes", "a node gets work again")                   \
    X(EVENT_NODE_STALL, "node.stall", WARN, "", "the process that watches the others stood still") \
    X(EVENT_LINK_UP, "link.up", DEBUG, "", "two nodes are connected")                              \
    X(EVENT_LINK_DOWN, "link.down", WARN, "", "two nodes are not connected any more")              \
    X(EVENT_RAFT_PREVOTE, "raft.prevote", DEBUG, "", "a node asks whether it would be elected")    \
    X(EVENT_RAFT_ELECTION, "raft.election", INFO, "", "a node wants to lead: an election began")   \
    X(EVENT_RAFT_TERM, "raft.term", DEBUG, "", "a node is in another term")                        \
    X(EVENT_RAFT_LEAD, "raft.lead", INFO, "elections", "a node has won the lead of the cluster")   \
    X(EVENT_RAFT_LOST, "raft.lost", WARN, "", "a node has lost the lead of the cluster")           \
    X(EVENT_RAFT_NONE, "raft.none", ERROR, "", "a node knows no leader")                           \
    X(EVENT_RAFT_MEMBER, "raft.member", INFO, "raft", "a replica of the cluster's state changed")  \
    X(EVENT_CHAT_ELECTION, "chat.election", INFO, "", "a node wants to lead the chat")             \
    X(EVENT_CHAT_PROMISE, "chat.promise", DEBUG, "", "a node promised to follow a term")           \
    X(EVENT_CHAT_LEAD, "chat.lead", INFO, "elections", "a node has won the lead of the chat")      \
    X(EVENT_CHAT_LOST, "chat.lost", WARN, "", "a node has lost the lead of the chat")              \
    X(EVENT_CHAT_TERM, "chat.term", DEBUG, "", "a node's chat is in another term")                 \
    X(EVENT_CHAT_MEMBER, "chat.member", INFO, "chat", "a member of the chat has changed")          \
    X(EVENT_JOB_SUBMIT, "job.submit", INFO, "jobs", "a job was submitted")                         \
    X(EVENT_JOB_STATE, "job.state", INFO, "jobs", "a job is in another state")                     \
    X(EVENT_JOB_FAIL, "job.fail", WARN, "jobs", "a job has failed")                                \
    X(EVENT_JOB_MANY, "job.many", INFO, "", "edges of many jobs, summed up")                       \
    X(EVENT_TASK_STATE, "task.state", DEBUG, "tasks", "an attempt at a task began or ended")       \
    X(EVENT_TASK_FAIL, "task.fail", WARN, "tasks", "an attempt at a task has failed or is lost")   \
    X(EVENT_TASK_MANY, "task.many", DEBUG, "jobs", "edges of a busy job's tasks, summed up")       \
    X(EVENT_QUERY_BEGIN, "query.begin", DEBUG, "queries", "an SQL statement began")                \
    X(EVENT_QUERY_STAGE, "query.stage", DEBUG, "stages", "a stage of a statement began or ended")  \
    X(EVENT_QUERY_END, "query.end", DEBUG, "queries", "a statement has ended")                     \
    X(EVENT_QUERY_FAIL, "query.fail", WARN, "queries", "a statement has failed")                   \
    X(EVENT_TXN_STATE, "txn.state", INFO, "transactions", "a transaction is in another state")     \
    X(EVENT_TXN_DOUBT, "txn.doubt", WARN, "transactions", "a node waits for a decision")           \
    X(EVENT_ROLLOUT_STATE, "rollout.state", INFO, "rollouts", "a rollout is in another state")     \
    X(EVENT_ROLLOUT_GATE, "rollout.gate", WARN, "rollouts", "a gate of a rollout has judged")      \
    X(EVENT_ROUTING_VERSION, "routing.version", INFO, "routing", "a node serves a new version")    \
    X(EVENT_STORE_TROUBLE, "store.trouble", WARN, "", "the object store fails or is slow")         \
    X(EVENT_STORE_WELL, "store.well", INFO, "", "the object store answers again")                  \
    X(EVENT_DISK_FULL, "disk.full", ERROR, "", "a disk of the cluster is full")                    \
    X(EVENT_DISK_ROOM, "disk.room", INFO, "", "a disk has room again")                             \
    X(EVENT_DAEMON_START, "daemon.start", INFO, "", "clusterd has started")                        \
    X(EVENT_DAEMON_STOP, "daemon.stop", INFO, "", "clusterd is being stopped")                     \
    X(EVENT_OPERATOR_COMMAND, "operator.command", INFO, "", "a person changed something")          \
    X(EVENT_LOG_RECORD, "log.record", INFO, "", "a record of a node's log")                        \
    X(EVENT_COLLECT_BEGIN, "events.collector", INFO, "", "another node collects: get a new frame") \
    X(EVENT_DROPPED, "events.dropped", WARN, "", "events of a node were lost")                     \
    X(EVENT_STATE_ROW, "state.row", DEBUG, "", "a row of the state, without anything to tell")

enum event_kind {
    EVENT_NONE, /* from another version */
#define EVENT_KIND_ENUM(symbol, name, level, table, help) symbol,
    EVENT_KIND_LIST(EVENT_KIND_ENUM)
#undef EVENT_KIND_ENUM
        EVENT_KINDS
};

struct event_kind_row {
    const char *name;
    enum log_level level;
    const char *table; /* "": carries no patch, or of any table */
    const char *help;
};

const struct event_kind_row *event_kind_row(enum event_kind kind); /* not EVENT_NONE */
enum event_kind event_kind_find(const char *name);                 /* EVENT_NONE when unknown */

enum { EVENT_PATTERNS_MAX = 32, EVENT_PATTERN_BYTES_MAX = 512 };

/* Whether `name` is among "job.*,raft.lead": names, or what they begin with and ".*". */
bool event_kind_matches(const char *patterns, const char *name);
/* ERR_INVALID with the reason: malformed, or a pattern that no kind can match. */
int event_kind_check_patterns(const char *patterns, struct error *e);

/* Appends the table in Markdown. 0 or ERR_TOO_LARGE. */
int event_kind_print(struct buf *out);

#endif
